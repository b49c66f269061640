#!/usr/bin/env python3
"""Draw the pictures of docs/dashboard.md anew: the real page, in Chromium, in front of the built-in model.

    .venv/bin/python scripts/screenshots.py [FOLDER]

It takes the browser of the tests (scripts/test-packages installs it) and about a minute.
"""

import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import openai

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from dynasor.gateway.keys import hash_of  # noqa: E402
from dynasor.gateway.metrics_door import KEY_VARIABLE  # noqa: E402
from dynasor.gateway.settings import read_settings  # noqa: E402
from dynasor.launch.serving import prepare  # noqa: E402
from support.browser import Page, browsing  # noqa: E402
from support.gateway_threads import in_thread  # noqa: E402

OPERATOR = "sk-operator-for-pictures-only-0123456789"
SHARES = {"search": 2, "tutor": 1, "nightly": 1}
KEYS = {name: f"sk-{name}-for-pictures-only-0123456789ab" for name in SHARES}
LAPTOP, PHONE = (1280, 960, 1.2), (390, 844, 2.0)
EASY = "Ben has {} apples. Then Ben gets {} more apples. How many apples does Ben have now?"
HARD = (
    "Mia has {} pens. Mia buys 3 boxes with {} pens each. Then Mia gives away 9 pens. How many pens does Mia have now?"
)
ASKED = [
    ("nightly", EASY, {"algorithm": "sc", "policy": "even", "cap": 12}),
    ("search", HARD, {"algorithm": "sc", "in_flight": True, "policy": "decided", "deadline_s": 600}),
    ("tutor", HARD, {"algorithm": "mcts", "cap": 6}),
    ("search", EASY, {"algorithm": "probed-cot", "cap": 8}),
    ("search", HARD, {"algorithm": "sc", "deadline_s": 600}),
    ("tutor", EASY, {"algorithm": "weighted-sc", "cap": 10, "deadline_s": 600}),
    ("search", EASY, {"algorithm": "sc", "in_flight": True, "deadline_s": 600}),
    ("tutor", HARD, {"algorithm": "sc", "in_flight": True, "policy": "decided"}),
]
LAST = [("search", HARD, {"algorithm": "sc"}), ("tutor", HARD, {"algorithm": "rebase", "cap": 16})]


def ask(url: str, tenant: str, question: str, dynasor: dict[str, object]) -> str:
    """Ask, and wait for the answer; gives the program's id."""
    with openai.OpenAI(base_url=f"{url}/v1", api_key=KEYS[tenant], timeout=3600.0) as client:
        answer = client.chat.completions.create(
            model="builtin",
            messages=[{"role": "user", "content": question}],
            max_tokens=192,
            seed=7,
            extra_body={"dynasor": dynasor},
        )
    return answer.id.removeprefix("chatcmpl-")


def enter(page: Page, key: str) -> None:
    """Look with another key."""
    page.open()
    page.run("sessionStorage.setItem('dynasor-key', arguments[0])", key)
    page.open()


def draw(page: Page, folder: Path, url: str) -> None:
    """All pictures."""
    with ThreadPoolExecutor(16) as threads:

        def begin(asked: tuple[str, str, dict[str, object]], number: int) -> "Future[str]":
            tenant, question, dynasor = asked
            return threads.submit(ask, url, tenant, question.format(11 + number, 4 + number), dynasor)

        ids = [begin(asked, number).result() for number, asked in enumerate(ASKED)]
        page.size(*LAPTOP)
        enter(page, OPERATOR)
        running = [begin(asked, 20 + number) for number, asked in enumerate(LAST)]
        page.until(lambda: len(page.all('#programs [data-state="running"] [href="#cell-s"]')) > 3)
        shoot(page, folder / "laptop-light.png")
        page.emulate(prefers_color_scheme="dark")
        shoot(page, folder / "laptop-dark.png")
        for future in running:
            future.result()
    page.emulate(prefers_color_scheme="light")
    enter(page, KEYS["search"])
    page.size(*PHONE)
    shoot(page, folder / "phone.png")
    page.size(*LAPTOP)
    page.open(f"#/program/{ids[1]}")
    page.until(lambda: len(page.all("#branches tr")) > 3)
    page.one("#branches summary").click()
    shoot(page, folder / "program.png", height=1120)
    page.open("#/playground")
    page.until(lambda: page.all("#model option"))
    page.run("document.getElementById('policy').value = 'decided'; document.getElementById('question').rows = 2")
    page.one("#go").click()
    page.until(lambda: page.text("#verdict"))
    for side in ("with", "without"):
        link = str(page.one(f'[data-side="{side}"] .title a').get_attribute("href")).partition("#")[2]
        page.until(lambda link=link: page.all(f'[data-state="finished"] [href="#{link}"]'))
    shoot(page, folder / "playground.png", height=1010)


def shoot(page: Page, file: Path, height: int | None = None) -> None:
    """One picture."""
    if height is not None:
        page.size(LAPTOP[0], height, LAPTOP[2])
    page.run("scrollTo(0, 0); document.activeElement.blur()")
    page.driver.save_screenshot(str(file))
    print(f"{file}: {file.stat().st_size // 1000} kB")  # noqa: T201


def main() -> None:
    """Draw them."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    tenants = [{"name": name, "share": share, "key_hashes": [hash_of(KEYS[name])]} for name, share in SHARES.items()]
    settings = read_settings(None, {"port": 0, "tenants": tenants})
    with in_thread(prepare(settings, {KEY_VARIABLE: OPERATOR})) as here, browsing() as chrome:
        draw(Page(chrome, here.url), folder, here.url)


if __name__ == "__main__":
    main()
