"""Tool calls in the answers of servers, streamed and whole, and fields that a request brings with it."""

import msgspec
import pytest

from dynasor.engines.endpoint import Endpoint
from dynasor.engines.openai_request import Dialect, encoded
from dynasor.engines.openai_wire import Answer
from dynasor.request import Message, ProgramId, Request, RequestId, Sampling, ToolCall

ASKED = Request(RequestId(ProgramId("p"), 0), (Message("user", "?"),), Sampling())


def chunk(**delta: object) -> bytes:
    return msgspec.json.encode({"choices": [{"index": 0, "delta": delta}]})


def part(index: int, arguments: str, id: str | None = None, name: str | None = None) -> dict[str, object]:
    return {"index": index, "id": id, "function": {"name": name, "arguments": arguments}}


def test_calls_that_come_in_pieces_are_put_together() -> None:
    answer = Answer(streamed=True)
    answer.read(chunk(tool_calls=[part(0, "", "c0", "find")]))
    answer.read(chunk(tool_calls=[part(0, '{"a"'), part(1, "{}", "c1", "look")]))
    answer.read(chunk(tool_calls=[part(0, ": 1}", name="find"), {"index": 1}]))
    assert answer.begun
    assert answer.completion(ASKED, 0).calls == (ToolCall("find", '{"a": 1}', "c0"), ToolCall("look", "{}", "c1"))


def test_calls_of_a_whole_answer() -> None:
    answer = Answer(streamed=False)
    calls = [{"id": "c0", "function": {"name": "find", "arguments": "{}"}}, {"function": {"name": "look"}}]
    answer.read(msgspec.json.encode({"choices": [{"message": {"tool_calls": calls}, "finish_reason": "tool_calls"}]}))
    assert answer.completion(ASKED, 0).calls == (ToolCall("find", "{}", "c0"), ToolCall("look", "", ""))


@pytest.mark.parametrize("extra", [None, {}, {"tools": [], "top_k": 5}])
def test_a_request_brings_fields_of_its_own(extra: dict[str, object] | None) -> None:
    request = msgspec.structs.replace(ASKED, extra_body=extra)
    _, body = encoded(request, Endpoint("http://a", extra_body={"top_k": 1}), "m", Dialect())
    sent = msgspec.json.decode(body)
    assert sent["top_k"] == (5 if extra else 1), "over those of all requests"
    assert ("tools" in sent) is bool(extra)
