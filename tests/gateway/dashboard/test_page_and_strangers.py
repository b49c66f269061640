"""What comes from outside does nothing to the page, and who has no key sees nothing: in a real browser."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from threading import Thread

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.keys import Keys

from dynasor.gateway.keys import hash_of
from dynasor.gateway.metrics_door import KEY_VARIABLE
from dynasor.gateway.settings import read_settings
from dynasor.launch.serving import prepare
from support.browser import Page
from support.dashboard_page import asked, at, line
from support.gateway_threads import in_thread
from support.gateways import GatewayHere
from support.speaking import Said, speaking

pytestmark = pytest.mark.slow

OURS, THEIRS, OPERATOR = (f"sk-{name}-for-tests-only-0123456789abcdef" for name in ("ours", "theirs", "operator"))
TENANTS = [{"name": name, "key_hashes": [hash_of(key)]} for name, key in (("ours", OURS), ("theirs", THEIRS))]
XSS = (
    "<script>window.hit=1</script>",
    "<img src=x onerror='window.hit=1'>",
    '"><svg onload=window.hit=1>',
    "<iframe srcdoc='<script>parent.hit=1</script>'></iframe>",
    "javascript:window.hit=1//",
    "</textarea></title><style>*{display:none}</style><details open ontoggle=window.hit=1>",
    "<a href='javascript:window.hit=1' id=main>x</a><base href=//evil.example/>",
    "{{constructor.constructor('window.hit=1')()}}${window.hit=1}",
    "\u2028\u2029</script ><math><mi xlink:href='data:x,<script>window.hit=1</script>'>",
)


def test_what_is_asked_does_nothing_to_the_page(page: Page, here: GatewayHere) -> None:
    elements = (
        "return document.querySelectorAll('script, iframe, base, img, style, [onload], [onerror], [ontoggle]').length"
    )
    before = page.run(elements)
    for payload in XSS:
        id = asked(here, payload, cap=1)
        page.open(f"#/program/{id}")
        page.until(lambda: page.all("#branches tr"))
        assert page.text("#prompt .text") == payload, "it is shown as it is"
        assert page.run(elements) == before
        assert page.run("return [window.hit, document.querySelectorAll('#main').length]") == [None, 1]
    page.open("#/playground")
    page.until(lambda: page.all("#model option"))
    page.run(
        "document.getElementById('cap').value = 1; document.getElementById('question').value = arguments[0]", XSS[1]
    )
    page.one("#go").click()
    page.until(lambda: page.text("#verdict"))
    assert page.run("return window.hit") is None
    for payload in XSS[:3]:
        page.open(f"#/program/{payload}")
        page.until(lambda: "no such program" in page.text("#program-fault"))
        assert page.run(elements) == before
        assert page.run("return window.hit") is None


@contextmanager
def saying(*texts: str) -> Iterator[str]:
    """A model server in a thread, that says one text after the other; gives its address."""
    up: Future[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        over = asyncio.Event()
        async with speaking(lambda _, number: Said(texts[number % len(texts)])) as (url, _):
            up.set_result((url, asyncio.get_running_loop(), over))
            await over.wait()

    thread = Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    url, loop, over = up.result(30)
    try:
        yield url
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()


def test_what_a_model_answers_does_nothing_to_the_page(chrome: Chrome) -> None:
    texts = [f"{payload}\nThe answer is \\boxed{{{payload}}}" for payload in XSS]
    with saying(*texts) as url, ExitStack() as stack:
        settings = read_settings(None, {"port": 0, "backends": [{"url": url}]})
        here = stack.enter_context(in_thread(prepare(settings, {})))
        page = stack.enter_context(at(chrome, here))
        id = asked(here, model="tiny", cap=len(XSS))
        page.open(f"#/program/{id}")
        page.until(lambda: len(page.all("#branches tr")) == len(XSS))
        page.run("document.querySelectorAll('#branches details').forEach((one) => { one.open = true; })")
        shown = {text.get_property("textContent") for text in page.all("#branches .text")}
        assert shown == set(texts)
        assert len(page.all("#votes li")) > 1
        page.open("#/playground")
        page.until(lambda: page.all("#model option"))
        page.run("document.getElementById('cap').value = arguments[0]", len(XSS))
        page.one("#go").click()
        page.until(lambda: page.text("#verdict"))
        assert page.text('[data-side="with"] > .text') in texts
        assert page.run("return window.hit") is None
        assert page.run("return document.querySelectorAll('iframe, base, img, style, [onload], [onerror]').length") == 0


@pytest.fixture(scope="module")
def locked() -> Iterator[GatewayHere]:
    settings = read_settings(None, {"port": 0, "tenants": TENANTS})
    with in_thread(prepare(settings, {KEY_VARIABLE: OPERATOR})) as here:
        yield here


@pytest.fixture
def locked_page(chrome: Chrome, locked: GatewayHere) -> Iterator[Page]:
    with at(chrome, locked) as page:
        yield page


def test_a_key_is_asked_for_and_shows_what_is_its_own(locked_page: Page, locked: GatewayHere) -> None:
    page = locked_page
    ours, theirs = asked(locked, key=OURS, cap=2), asked(locked, key=THEIRS, cap=2)
    assert page.one("#key").is_displayed()
    assert page.all(".program") == []

    def enter(key: str) -> None:
        page.until(lambda: page.one("#key").is_displayed())
        page.one("#key").clear()
        page.one("#key").send_keys(key, Keys.ENTER)

    enter("sk-nobody-knows-this-key-0123456789abcdef")
    page.until(lambda: "not known" in page.text("#key-fault"))
    enter(OURS)
    page.until(lambda: page.all(line(ours)))
    assert page.all(line(theirs)) == []
    assert page.text("#whose") == "of ours"
    assert page.run("return Object.values(sessionStorage)") == [OURS]
    assert page.run("return localStorage.length") == 0
    assert OURS not in page.run("return document.documentElement.outerHTML + location.href + document.cookie")
    page.one("#leave").click()
    enter(OPERATOR)
    page.until(lambda: page.all(line(ours)) and page.all(line(theirs)))
    page.one(line(ours)).click()
    page.until(lambda: page.all("#branches tr"))
    assert page.text("#votes .answer") == "answer 1"
    assert not page.one("#prompt-section").is_displayed()
    assert "not shown here" in page.text("#branches-hint")
    page.one('nav [data-view="playground"]').click()
    page.until(lambda: "key of a tenant" in page.text("#ask-fault"))
