"""What the tests of the dashboard's page share: questions, and the page as each test finds it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.request import Request, urlopen

from selenium.webdriver import Chrome

from support.browser import Page
from support.gateways import GatewayHere

QUESTION = "Ben has 12 apples. Then Ben gets 7 more apples. How many apples does Ben have now?"
VIEWS = ("#/", "#/playground")


@contextmanager
def at(chrome: Chrome, here: GatewayHere) -> Iterator[Page]:
    page = Page(chrome, here.url)
    page.size(1280, 800)
    page.emulate(prefers_color_scheme="light")
    page.open()
    page.complaints()
    yield page
    assert page.complaints() == []
    chrome.get("about:blank")


def asked(here: GatewayHere, question: str = QUESTION, key: str = "", model: str = "builtin", **dynasor: Any) -> str:
    """Ask, wait for the answer, and give the program's id."""
    body = {"model": model, "messages": [{"role": "user", "content": question}], "max_tokens": 64, "seed": 1}
    body["dynasor"] = {"algorithm": "sc", "cap": 6, "policy": "even"} | dynasor
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {key}"} if key else {})
    with urlopen(Request(f"{here.url}/v1/chat/completions", json.dumps(body).encode(), headers)) as answer:
        told: dict[str, Any] = json.load(answer)
    return str(told["id"]).removeprefix("chatcmpl-")


def asked_plainly(here: GatewayHere, session: str) -> None:
    """Ask for no reasoning, as part of a program that a client drives."""
    body = {"model": "builtin", "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 16, "seed": 1}
    headers = {"content-type": "application/json", "x-session-id": session}
    with urlopen(Request(f"{here.url}/v1/chat/completions", json.dumps(body).encode(), headers)) as answer:
        answer.read()


def line(id: str) -> str:
    return f'.program > a[href="#/program/{id}"]'
