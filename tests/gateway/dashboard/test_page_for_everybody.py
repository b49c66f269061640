"""The page can be read and used by everybody: light or dark, on a phone, by the keyboard alone; in a real browser."""

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from support.browser import Page
from support.dashboard_page import QUESTION, VIEWS, asked, asked_plainly, line
from support.gateways import GatewayHere

pytestmark = pytest.mark.slow


def test_light_and_dark_follow_the_system_until_one_chooses(page: Page) -> None:
    ground = "return getComputedStyle(document.documentElement).backgroundColor"
    light = page.run(ground)
    page.emulate(prefers_color_scheme="dark")
    dark = page.run(ground)
    assert light != dark
    assert page.one("#theme").get_attribute("aria-pressed") == "true"
    page.one("#theme").click()
    assert page.run(ground) == light
    page.open()
    assert page.run(ground) == light, "what was chosen is kept"
    page.one("#theme").click()
    assert page.run(ground) == dark
    assert page.run("return localStorage.length") == 0, "the same as the system's: nothing to keep"


CONTRAST = """
const probe = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
const rgba = (told) => {
  probe.clearRect(0, 0, 1, 1); probe.fillStyle = told; probe.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = probe.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255];
};
const light = ([r, g, b]) => [r, g, b].map((c) => (c /= 255, c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
  .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const ground = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const told = rgba(getComputedStyle(at).backgroundColor);
    if (told[3] === 1) return told;
  }
  return [255, 255, 255, 1];
};
const bad = [];
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
let count = 0;
while (walk.nextNode()) {
  const element = walk.currentNode.parentElement;
  if (!walk.currentNode.data.trim() || !element.checkVisibility() || element.closest("noscript")) continue;
  const style = getComputedStyle(element);
  const ink = rgba(element instanceof SVGElement ? style.fill : style.color);
  const [one, other] = [light(ink), light(ground(element))];
  const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  count += 1;
  if (contrast < 4.5) bad.push([walk.currentNode.data, contrast]);
}
return {count, bad};
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_can_be_read(page: Page, here: GatewayHere, scheme: str) -> None:
    id = asked(here, cap=20, policy="decided", in_flight=True)
    page.emulate(prefers_color_scheme=scheme)
    for view in (*VIEWS, f"#/program/{id}"):
        page.open(view)
        if "program/" in view:
            page.until(lambda: page.all("#branches tr"))
        measured = page.run(CONTRAST)
        assert measured["bad"] == []
        assert measured["count"] > 15


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_nothing_scrolls_sideways(page: Page, here: GatewayHere, width: int) -> None:
    id = asked(here, cap=40, in_flight=True, question=f"{QUESTION} {'x' * 400}")
    asked_plainly(here, session="s" * 128)
    page.size(width, 780)
    for view in (*VIEWS, f"#/program/{id}"):
        page.open(view)
        page.until(lambda: page.all(".view:not([hidden]) :is(#branches tr, #model option, .program)"))
        wide = page.run(
            "return [...document.querySelectorAll('body *')].filter(e => e.checkVisibility() && !e.closest('svg, .skip,"
            " .unseen') && e.getBoundingClientRect().right > innerWidth + 0.5).map(e => e.className || e.tagName)"
        )
        assert wide == []
        assert page.run("return document.documentElement.scrollWidth <= innerWidth")
        assert width >= 600 or page.run("return innerWidth") == width


def test_everything_is_reached_by_the_keyboard(page: Page, here: GatewayHere) -> None:
    id = asked(here)
    page.until(lambda: page.all(line(id)))

    def press(*keys: str) -> None:
        ActionChains(page.driver).send_keys(*keys).perform()

    def focused() -> str:
        told: str = page.run(
            "const e = document.activeElement, s = getComputedStyle(e.matches('.choice input') ? e.nextSibling : e);"
            "const name = e.id || e.getAttribute('href') || e.value || e.tagName;"
            "return name + (s.outlineStyle === 'none' ? ' UNSEEN' : '')"
        )
        return told

    reached = []
    for _ in range(7):
        press(Keys.TAB)
        reached.append(focused())
    assert reached == ["#main", "#/", "#/playground", "theme", "all", f"#/program/{id}", reached[-1]]
    assert "UNSEEN" not in "".join(reached)
    press(Keys.SHIFT, Keys.TAB)
    page.run("document.querySelector(arguments[0]).focus()", line(id))
    press(Keys.ENTER)
    page.until(lambda: page.one("#program-title").is_displayed())
    assert page.run("return document.activeElement.id") == "program-title", "focus goes with the view"
    page.until(lambda: page.all("#branches summary"))
    for _ in range(2):
        press(Keys.TAB)
    press(Keys.ENTER)
    page.until(lambda: page.all("#branches details[open]"))
    page.open("#/playground")
    page.until(lambda: page.all("#model option"))
    page.run("document.getElementById('cap').value = 2; document.getElementById('most').focus()")
    press(Keys.ENTER)
    page.until(lambda: page.text("#verdict"))


def test_landmarks_and_names_are_there(page: Page) -> None:
    for view in VIEWS:
        page.open(view)
        page.until(lambda: page.all("h1:not([hidden])"))
        unnamed = page.run("""
            const named = (e) => e.getAttribute("aria-label") || e.getAttribute("aria-labelledby")
              || e.textContent.trim() || (e.labels && e.labels.length);
            return [...document.querySelectorAll("button, a, input, select, textarea, nav, section")]
              .filter((e) => e.checkVisibility() && !named(e)).map((e) => e.outerHTML);
        """)
        assert unnamed == []
        assert page.run("return [...document.querySelectorAll('h1')].filter(e => e.checkVisibility()).length") == 1
        assert page.run("return document.querySelectorAll('main, header, nav').length") == 3
        assert page.run("return document.documentElement.lang") == "en"
    ids = page.run("return [...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))


def test_motion_is_left_out_for_who_wants_none(page: Page, here: GatewayHere) -> None:
    page.open(f"#/program/{asked(here)}")
    page.until(lambda: page.all("#votes .part"))
    duration = "return getComputedStyle(document.querySelector('#votes .part')).transitionDuration"
    assert page.run(duration) != "0s"
    page.emulate(prefers_reduced_motion="reduce")
    assert page.run(duration) == "0s"
