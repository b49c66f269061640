"""Every request in the documentation is answered, and the settings there are the defaults."""

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import openai
import pytest

from dynasor.gateway.reasoning_settings import ReasoningSettings
from dynasor.gateway.settings import read_settings
from dynasor.launch.serving import prepare
from support.gateway_threads import in_thread

PAGE = (Path(__file__).parents[2] / "docs" / "reasoning-over-http.md").read_text(encoding="utf-8")
REQUESTS = [json.loads(block) for block in re.findall(r"^```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)]


@pytest.fixture(scope="module")
def client() -> Iterator[openai.OpenAI]:
    with (
        in_thread(prepare(read_settings(None, {"port": 0}), {})) as here,
        openai.OpenAI(base_url=f"{here.url}/v1", api_key="none", max_retries=0) as client,
    ):
        yield client


@pytest.mark.slow
@pytest.mark.parametrize("place", range(len(REQUESTS)))
def test_a_request_is_answered(client: openai.OpenAI, place: int) -> None:
    body: dict[str, Any] = REQUESTS[place]
    path = "/chat/completions" if "messages" in body else "/completions"
    answer: Any = client.post(path, body=body, cast_to=object)
    assert answer["choices"][0]["finish_reason"] in ("stop", "length")
    told = set(answer["dynasor"])
    assert all(f"`{name}`" in PAGE for name in told), "each field is explained"
    assert len(REQUESTS) == 5


def test_the_settings_are_the_defaults() -> None:
    (block,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    told = tomllib.loads(block)["reasoning"]
    defaults = asdict(ReasoningSettings())
    assert told.pop("efforts") == {"low": 5, "medium": 10, "high": 20}
    assert told == {name: value for name, value in defaults.items() if name != "efforts"}
