"""What a program needs yet, as the field that servers order by."""

from typing import Any

import msgspec
import pytest

from dynasor.engines.endpoint import Endpoint, Priority
from dynasor.engines.openai_request import Dialect, encoded, explained
from dynasor.engines.openai_wire import Refusal
from dynasor.errors import EngineError, UsageError
from dynasor.inside.tags import read_tags
from dynasor.request import ProgramId, Request, RequestId, Sampling


def sent(priority: Priority, remaining: int | None) -> dict[str, Any]:
    request = Request(RequestId(ProgramId("p"), 0), "1 + 1 =", Sampling(), remaining_tokens=remaining)
    _, body = encoded(request, Endpoint("http://host", priority=priority), "tiny", Dialect(), "host1")
    fields: dict[str, Any] = msgspec.json.decode(body)
    return fields


@pytest.mark.parametrize(
    ("priority", "value"), [("vllm", 700), ("sglang", -700), ("sglang-low-first", 700), ("trtllm", 1024 / 1724)]
)
def test_less_comes_first_in_the_words_of_each_server(priority: Priority, value: int) -> None:
    assert sent(priority, 700)["priority"] == pytest.approx(value)


def test_what_tensorrt_llm_is_sent_lies_between_0_and_1() -> None:
    priorities = [sent("trtllm", tokens)["priority"] for tokens in (0, 1, 100, 10**6, 10**9)]
    assert priorities == sorted(priorities, reverse=True)
    assert len(set(priorities)) == 5
    assert 0 <= priorities[-1] < priorities[0] <= 1


@pytest.mark.parametrize(("priority", "remaining"), [("none", 700), ("vllm", None)])
def test_otherwise_there_is_no_such_field(priority: Priority, remaining: int | None) -> None:
    assert "priority" not in sent(priority, remaining)


@pytest.mark.parametrize(("priority", "field"), [("vllm-plugin", "vllm_xargs"), ("sglang-plugin", "custom_params")])
def test_a_server_with_the_plugin_is_told_of_the_program(priority: Priority, field: str) -> None:
    fields = sent(priority, 700)
    assert "priority" not in fields
    tags = read_tags(None, fields[field])
    assert (tags.program, tags.remaining_tokens, tags.bad_count) == ("host1/p", 700.0, 0)
    assert field not in sent(priority, None)


def test_an_unknown_kind_of_priority_is_refused() -> None:
    unknown: Any = "tgi"
    with pytest.raises(
        UsageError,
        match=r"unknown priority 'tgi' \(known: none, vllm, vllm-plugin, sglang, .*, sglang-plugin, trtllm\)",
    ):
        Endpoint("http://host", priority=unknown)


@pytest.mark.parametrize(
    ("priority", "mend"),
    [
        ("vllm", "--scheduling-policy priority"),
        ("sglang", "--enable-priority-scheduling"),
        ("trtllm", "scheduler_config: {waiting_queue_policy: priority} in its --config"),
    ],
)
def test_a_server_that_takes_no_priorities_is_told_how_to(priority: Priority, mend: str) -> None:
    refusal = Refusal(400, "Got priority 700 but priority scheduling is not enabled")
    fault = explained(refusal, Endpoint("http://host", priority=priority))
    assert str(fault) == (
        "the server takes no priorities (400 Got priority 700 but priority scheduling is not enabled); start it with"
        f" {mend}, or leave --priority out"
    )
    assert not fault.retryable


@pytest.mark.parametrize(
    "fault",
    [
        Refusal(400, "prompt is too long"),
        Refusal(503, "low priority, come back later"),
        EngineError("x", retryable=True),
    ],
)
def test_other_faults_are_left_as_they_are(fault: EngineError) -> None:
    assert explained(fault, Endpoint("http://host", priority="vllm")) is fault


def test_without_priorities_a_refusal_is_left_as_it_is() -> None:
    refusal = Refusal(400, "unknown field priority")
    assert explained(refusal, Endpoint("http://host")) is refusal
