"""The page in a real browser, in front of the real gateway, with the built-in model behind it: what it shows."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from support.browser import Page
from support.dashboard_page import QUESTION, asked, asked_plainly, line
from support.gateways import GatewayHere

pytestmark = pytest.mark.slow

LONG = (
    "Mia has 15 pens. Mia buys 3 boxes with 8 pens each. Then Mia gives away 9 pens. How many pens does Mia have now?"
)


@pytest.fixture
def asking(here: GatewayHere) -> Iterator[Callable[..., "Future[str]"]]:
    """Ask beside the browser."""
    with ThreadPoolExecutor(4) as threads:
        yield lambda **dynasor: threads.submit(asked, here, **dynasor)


def test_a_program_appears_and_its_certaindex_grows(page: Page, asking: Callable[..., "Future[str]"]) -> None:
    page.run("""
        window.seen = {};
        new MutationObserver(() => {
          for (const one of document.querySelectorAll("#programs li")) {
            (window.seen[one.querySelector("a").hash] ??= []).push([one.dataset.state,
              one.querySelector(".reading").textContent, one.querySelectorAll(".strip use").length]);
          }
        }).observe(document.getElementById("programs"),
          {subtree: true, childList: true, characterData: true, attributes: true});
    """)
    going = [asking(question=LONG, cap=40) for _ in range(3)]
    id = going[0].result()
    page.until(lambda: page.all(f'[data-state="finished"] > a[href="#/program/{id}"]'))
    seen = page.run("return window.seen[arguments[0]]", f"#/program/{id}")
    assert {"running", "finished"} <= {state for state, _, _ in seen}, "it was seen while it ran"
    readings = [float(reading) for _, reading, _ in seen]
    assert readings[0] == 0.0
    assert max(readings) > 0.0
    assert max(cells for _, _, cells in seen) == 40
    assert page.text(f"{line(id)} .knob") == "40 / 40"
    assert "0.00" not in page.text(f"{line(id)} .reading")
    path = page.one(f"{line(id)} .spark .curve").get_attribute("d") or ""
    heights = [float(part.partition("V")[2] or part.split()[-1]) for part in path.replace("M", "H").split("H")[1:]]
    assert len(heights) > 5, "a reading for each branch that landed, as often as the page was told"
    assert len(set(heights)) > 3, "it comes and goes with the votes"
    assert "finished, certaindex" in (page.one(line(id)).get_attribute("aria-label") or "")


def test_branches_that_are_cut_show(page: Page, here: GatewayHere) -> None:
    id = asked(here, cap=20, policy="decided", in_flight=True)
    page.until(lambda: page.all(f'{line(id)} [href="#cell-c"]'))
    assert page.all(f'{line(id)} [href="#cell-s"]')
    assert "%" in page.text("#figures dd.large")
    page.open(f"#/program/{id}")
    page.until(lambda: page.all('#branches [data-finish="c"]'))
    assert page.text('#branches [data-finish="c"] .ended') == "cut"


def test_programs_that_clients_drive_show(page: Page, here: GatewayHere) -> None:
    for session in ("agent-7", "agent-8", "agent-7"):
        asked_plainly(here, session)
    page.until(lambda: len(page.all("#clients tr")) >= 2)
    rows = {row.text.split()[0]: row.text.split()[1:3] for row in page.all("#clients tr")}
    assert rows["agent-7"] == ["2", "0"]
    assert rows["agent-8"] == ["1", "0"]


def test_drill_down_shows_the_votes_the_branches_and_what_was_asked(page: Page, here: GatewayHere) -> None:
    id = asked(here)
    page.until(lambda: page.all(line(id)))
    page.one(line(id)).click()
    page.until(lambda: len(page.all("#branches tr")) == 6)
    votes = [int(count.text) for count in page.all("#votes .count")]
    assert sum(votes) == 6
    assert votes[0] == max(votes)
    assert page.text("#prompt .text") == QUESTION
    assert "finished" in page.text("#program-state")
    assert page.one("#curve svg").get_attribute("aria-label")
    summary = page.one("#branches summary")
    summary.click()
    assert "answer" in page.one("#branches details[open] .text").text
    page.one(".back a").click()
    page.until(lambda: page.one(line(id)).is_displayed())
    page.open("#/program/nobody")
    page.until(lambda: "no such program" in page.text("#program-fault"))


def test_a_program_that_is_looked_at_goes_on_before_ones_eyes(
    page: Page, here: GatewayHere, asking: Callable[..., "Future[str]"]
) -> None:
    going = [asking(question=LONG, cap=40) for _ in range(3)]
    page.until(lambda: page.all('#programs li[data-state="running"] a'))
    page.all('#programs li[data-state="running"] a')[0].click()
    page.until(lambda: len(page.all("#branches tr")) > 1)
    page.run("document.querySelector('#branches details').open = true")
    page.until(lambda: len(page.all("#branches tr")) == 40)
    assert page.one("#branches details").get_attribute("open"), "what was opened stays open"
    assert all(one.result() for one in going)


def test_the_playground_answers_with_and_without(page: Page) -> None:
    page.one('nav [data-view="playground"]').click()
    page.until(lambda: page.all("#model option"))
    page.run("document.getElementById('cap').value = 8; document.getElementById('most').value = 64")
    page.one("#go").click()
    page.until(lambda: page.text("#verdict"))
    for side in ("with", "without"):
        card = f'[data-side="{side}"]'
        assert page.text(f"{card} .badge") == "finished"
        tokens, time, certaindex, answer = (figure.text for figure in page.all(f"{card} .figures .large"))
        assert int(tokens.replace(",", "")) > 0
        assert time.endswith(" s")
        assert 0.0 <= float(certaindex) <= 1.0
        assert answer.isdigit()
        assert "answer" in page.text(f"{card} > .text")
        assert page.all(f"{card} .votes li")
        assert page.all(f"{card} .chart .curve")
    assert "knob 8 / 8" in page.text('[data-side="without"] .figures')
    assert "Dynasor:" in page.text("#verdict")
    page.one('[data-side="with"] .title a').click()
    page.until(lambda: page.all("#branches tr"))


def test_the_playground_compares_with_one_plain_request_and_stops_when_told(page: Page) -> None:
    page.open("#/playground")
    page.until(lambda: page.all("#model option"))
    page.run("document.getElementById('without').value = 'plain'; document.getElementById('cap').value = 5")
    page.one("#go").click()
    page.until(lambda: page.text("#verdict"))
    assert "one plain request" in page.text("#without-title")
    assert int(page.text('[data-side="without"] .figures .large').replace(",", "")) > 0
    page.run("document.getElementById('cap').value = 64; document.getElementById('without').value = 'even'")
    page.one("#go").click()
    page.until(lambda: page.one("#halt").is_enabled())
    page.one("#halt").click()
    page.until(lambda: page.text('[data-side="without"] .badge') == "stopped")
    page.run("document.getElementById('cap').max = 1000; document.getElementById('cap').value = 999")
    page.one("#go").click()
    page.until(lambda: "cap is 999" in page.text('[data-side="with"] .fault'))
