import math
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynasor.engines.endpoint import Endpoint, Timeouts
from dynasor.engines.openai_request import Dialect, encoded
from dynasor.engines.openai_wire import Answer, Refusal, model_names, refused, server_words
from dynasor.engines.sse import LONGEST_LINE_BYTES, EventParser
from dynasor.errors import EngineError, UsageError
from dynasor.request import Finish, Message, ProgramId, Prompt, Request, RequestId, Sampling, continued

CHAT = (Message("system", "Be brief."), Message("user", "1 + 1?"))
DONE = b"data: [DONE]\n\n"


def request_for(prompt: Prompt = "1 + 1 =", *, seed: int | None = None, **sampling: Any) -> Request:
    return Request(RequestId(ProgramId("p"), 0), prompt, Sampling(**sampling), seed)


def sent(request: Request, endpoint: Endpoint, dialect: Dialect | None = None) -> tuple[str, dict[str, Any]]:
    path, body = encoded(request, endpoint, "tiny", dialect or Dialect())
    fields = msgspec.json.decode(body)
    assert isinstance(fields, dict)
    return path, fields


def events(stream: bytes, cuts: list[int]) -> list[bytes]:
    parser = EventParser()
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    pieces = [stream[start:end] for start, end in pairwise(edges)]
    return [event for piece in pieces for event in parser.feed(piece)] + parser.finish()


def read(stream: bytes) -> Answer:
    answer = Answer(streamed=True)
    for event in events(stream, []):
        answer.read(event)
    answer.end()
    return answer


def chunk(**choice: Any) -> bytes:
    return b"data: " + msgspec.json.encode({"choices": [choice]}) + b"\n\n"


class TestEvents:
    @pytest.mark.parametrize(
        ("stream", "expected"),
        [
            (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
            (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
            (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
            (b": ping\n\ndata:a\nid: 7\nevent: x\n\n", [b"a"]),
            (b"data: a\ndata: b\n\n", [b"a\nb"]),
            (b"data: a\r\ndata: b\r\n\r\n", [b"a\nb"]),
            (b"data:  two spaces\n\n", [b" two spaces"]),
            (b"data:\n\n", [b""]),
            (b"\n\n\nnonsense\n\ndatum: a\n\n", []),
            (b"data: no blank line at the end", [b"no blank line at the end"]),
            ("data: ü\x85\u2028\x0b\n\n".encode(), ["ü\x85\u2028\x0b".encode()]),
            (b"", []),
        ],
    )
    def test_what_is_an_event(self, stream: bytes, expected: list[bytes]) -> None:
        assert events(stream, []) == expected
        assert events(stream, list(range(len(stream)))) == expected

    @given(
        st.lists(
            st.sampled_from([b"data: a", b"data:", b"data: {}", b"\r\n", b"\n", b"\r", b": c", b"\xc3"]), max_size=12
        ),
        st.lists(st.integers(0, 60), max_size=12),
    )
    def test_any_split_gives_the_same_events(self, parts: list[bytes], cuts: list[int]) -> None:
        stream = b"".join(parts)
        whole = events(stream, [])
        assert events(stream, cuts) == whole
        assert events(stream, list(range(len(stream)))) == whole

    def test_an_event_comes_as_soon_as_it_is_whole(self) -> None:
        parser = EventParser()
        assert parser.feed(b"data: a\r\n\r") == [b"a"]
        assert parser.feed(b"\ndata: b\n") == []
        assert parser.feed(b"\n") == [b"b"]

    def test_a_line_without_end_is_no_event_stream(self) -> None:
        parser = EventParser()
        assert parser.feed(b"x" * LONGEST_LINE_BYTES) == []
        with pytest.raises(EngineError, match="line of more than"):
            parser.feed(b"x")


class TestEndpoint:
    @pytest.mark.parametrize(
        ("url", "expected"),
        [
            ("http://localhost:8000", "http://localhost:8000/v1"),
            ("http://localhost:8000/", "http://localhost:8000/v1"),
            ("http://localhost:8000/v1/", "http://localhost:8000/v1"),
            ("https://host/openai/v1", "https://host/openai/v1"),
            ("https://host/v1beta/openai/", "https://host/v1beta/openai"),
            ("https://host/vllm", "https://host/vllm/v1"),
            ("http://host/v1/chat/completions", "http://host/v1"),
            ("http://host/v1/completions", "http://host/v1"),
            ("http://[::1]:8000", "http://[::1]:8000/v1"),
        ],
    )
    def test_addresses(self, url: str, expected: str) -> None:
        assert Endpoint(url).url == expected

    @pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://host", "http://", "http://host:99999", "http://[::1"])
    def test_what_is_no_address(self, url: str) -> None:
        with pytest.raises(
            UsageError, match=r"not the address of a server; give one such as http://localhost:8000/v1$"
        ):
            Endpoint(url)

    def test_an_address_holds_no_secret_and_the_error_does_not_repeat_it(self) -> None:
        with pytest.raises(UsageError, match="may hold no user, password") as caught:
            Endpoint("https://user:canary@host/v1")
        assert "canary" not in str(caught.value)

    def test_what_an_endpoint_cannot_be(self) -> None:
        with pytest.raises(UsageError, match="max_connections is 0"):
            Endpoint("http://host", max_connections=0)
        with pytest.raises(UsageError, match="extra_body may not set 'n'"):
            Endpoint("http://host", extra_body={"n": 2, "top_k": 1})
        with pytest.raises(UsageError, match="a timeout must be more than 0 seconds"):
            Timeouts(idle_s=0)
        with pytest.raises(UsageError, match="unknown api 'responses'"):
            Endpoint("http://host", api="responses")  # type: ignore[arg-type]


class TestBody:
    def test_text_goes_to_completions(self) -> None:
        request = request_for(temperature=0.5, top_p=0.9, max_tokens=64, stop=("\n\n",), logprobs=True, seed=3)
        assert sent(request, Endpoint("http://host")) == (
            "/completions",
            {
                "model": "tiny",
                "prompt": "1 + 1 =",
                "temperature": 0.5,
                "top_p": 0.9,
                "max_tokens": 64,
                "stop": ["\n\n"],
                "seed": 3,
                "logprobs": 1,
                "stream": True,
                "stream_options": {"include_usage": True},
            },
        )

    def test_a_conversation_goes_to_chat(self) -> None:
        path, fields = sent(request_for(CHAT, logprobs=True), Endpoint("http://host", stream=False))
        assert path == "/chat/completions"
        assert fields == {
            "model": "tiny",
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "1 + 1?"}],
            "temperature": 0.7,
            "top_p": 1.0,
            "max_tokens": 1024,
            "logprobs": True,
            "stream": False,
        }

    def test_chat_makes_text_one_message(self) -> None:
        path, fields = sent(request_for("hello"), Endpoint("http://host", api="chat"))
        assert path == "/chat/completions"
        assert fields["messages"] == [{"role": "user", "content": "hello"}]

    def test_a_conversation_that_ends_in_the_assistants_turn_is_to_go_on(self) -> None:
        told = {"add_generation_prompt": False, "continue_final_message": True}
        endpoint, begun = Endpoint("http://host"), request_for(continued(CHAT, "1 + 1 is"))
        _, fields = sent(begun, endpoint)
        assert fields["messages"][-1] == {"role": "assistant", "content": "1 + 1 is"}
        assert told.items() <= fields.items()
        assert not told.keys() & sent(begun, endpoint, Dialect(told_to_go_on=False))[1].keys()
        for prompt in (CHAT, (), "1 + 1 is"):
            assert not told.keys() & sent(request_for(prompt), endpoint)[1].keys()

    def test_only_a_stream_can_report(self) -> None:
        request = msgspec.structs.replace(request_for(), report_every=5)
        assert sent(request, Endpoint("http://host"))[1] == sent(request_for(), Endpoint("http://host"))[1]
        with pytest.raises(EngineError, match=r"only where its answer is streamed; use --stream$"):
            sent(request, Endpoint("http://host", stream=False))

    def test_completions_cannot_take_a_conversation(self) -> None:
        with pytest.raises(EngineError, match="set api to 'chat' or 'auto'"):
            sent(request_for(CHAT), Endpoint("http://host", api="completions"))

    def test_a_model_may_be_left_to_the_server(self) -> None:
        _, body = encoded(request_for(), Endpoint("http://host"), None, Dialect())
        assert b"model" not in body

    def test_extra_fields_win(self) -> None:
        _, fields = sent(request_for(), Endpoint("http://host", extra_body={"top_k": 5, "temperature": 0.1}))
        assert (fields["top_k"], fields["temperature"]) == (5, 0.1)

    def test_dialects(self) -> None:
        endpoint = Endpoint("http://host", api="chat")
        _, fields = sent(request_for(), endpoint, Dialect(False, "max_completion_tokens"))
        assert "stream_options" not in fields
        assert "max_tokens" not in fields
        assert fields["max_completion_tokens"] == 1024
        _, fields = sent(request_for(), Endpoint("http://host"), Dialect(max_tokens_name="max_completion_tokens"))
        assert fields["max_tokens"] == 1024  # the completions api has only this name

    def test_a_dialect_gives_way_once_to_each_refusal(self) -> None:
        options = Refusal(400, "Extra inputs are not permitted: stream_options")
        renamed = Refusal(400, "'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.")
        assert Dialect().adapted(options) == Dialect(usage_in_stream=False)
        assert Dialect().adapted(renamed) == Dialect(max_tokens_name="max_completion_tokens")
        for told in (
            "Unrecognized request argument supplied: continue_final_message",
            "Unknown parameter: 'add_generation_prompt'.",
            "[{'type': 'extra_forbidden', 'msg': 'Extra inputs are not permitted', 'loc': 'continue_final_message'}]",
        ):
            assert Dialect().adapted(Refusal(400, told)) == Dialect(told_to_go_on=False)
            assert Dialect(told_to_go_on=False).adapted(Refusal(400, told)) is None
        assert Dialect(False, "max_completion_tokens").adapted(options) is None
        assert Dialect(False, "max_completion_tokens").adapted(renamed) is None

    @pytest.mark.parametrize(
        "fault",
        [
            Refusal(400, "'max_tokens' or 'max_completion_tokens' is too large: 5000."),
            Refusal(400, "continue_final_message is set but the final message does not appear in the chat"),
            Refusal(500, "stream_options"),
            EngineError("400 stream_options", retryable=False),
        ],
    )
    def test_other_faults_change_no_dialect(self, fault: EngineError) -> None:
        assert Dialect().adapted(fault) is None


class TestAnswer:
    def test_streamed_text_with_usage_in_a_chunk_without_choices(self) -> None:
        usage = b'data: {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 9}}\n\n'
        answer = read(chunk(text="two") + chunk(text=" words") + chunk(text="", finish_reason="length") + usage + DONE)
        completion = answer.completion(request_for(), spent_tokens=4)
        assert completion.text == "two words"
        assert completion.finish is Finish.LENGTH
        assert (completion.tokens, completion.prompt_tokens, completion.mean_logprob) == (13, 5, None)

    def test_streamed_chat_with_most_fields_missing(self) -> None:
        stream = (
            chunk(delta={"role": "assistant"}) + b"data: {}\n\n" + chunk() + chunk(delta={"content": None}, index=0)
        )
        answer = read(stream + chunk(delta={"content": "2"}, logprobs=None) + DONE)
        completion = answer.completion(request_for(), 0)
        assert (completion.text, completion.finish, completion.tokens) == ("2", Finish.STOP, 1)

    def test_tokens_by_log_probabilities_where_usage_is_missing(self) -> None:
        first = chunk(delta={"content": "a b"}, logprobs={"content": [{"logprob": -1.0}, {"logprob": -2.0}]})
        last = chunk(delta={}, logprobs={"content": [{"logprob": -3.0}]}, finish_reason="stop")
        completion = read(first + last).completion(request_for(), 0)
        assert completion.tokens == 3
        assert completion.mean_logprob == -2.0

    def test_the_least_sure_group_of_tokens_and_the_last(self) -> None:
        values = [-1.0] * 10 + [-3.0] * 64 + [-2.0] * 64
        answer = read(chunk(text="x", logprobs={"token_logprobs": values}) + DONE)
        completion = answer.completion(request_for(), 0)
        assert (completion.lowest_logprob, completion.tail_logprob) == (-3.0, -2.0)
        assert answer.report(completion.id).lowest_logprob == -3.0

    @pytest.mark.parametrize("field", ["stop_reason", "matched_stop"])
    @pytest.mark.parametrize(
        ("told", "expected"), [("\n", "\n"), ("=", "="), (2, None), (None, None), ("end_turn", None), ({}, None)]
    )
    def test_the_stop_string_that_ended_it(self, field: str, told: object, expected: str | None) -> None:
        request = request_for(stop=("=", "\n"))
        stream = chunk(text="1") + chunk(text="", finish_reason="stop", **{field: told})
        assert read(stream + DONE).completion(request, 0).stopped_at == expected

    def test_log_probabilities_of_completions_may_have_gaps(self) -> None:
        stream = chunk(text="ab", logprobs={"token_logprobs": [None, -1.0]}, finish_reason="stop")
        completion = read(stream).completion(request_for(), 0)
        assert (completion.tokens, completion.mean_logprob) == (2, -1.0)

    @pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
    def test_thoughts_stay_in_the_text_between_tags(self, field: str) -> None:
        stream = chunk(delta={field: "hm"}) + chunk(delta={field: " ok", "content": ""}) + chunk(delta={"content": "2"})
        completion = read(stream + DONE).completion(request_for(), 0)
        assert completion.text == "<think>hm ok</think>2"
        assert completion.tokens == 3

    def test_thoughts_that_came_to_no_end_stay_open(self) -> None:
        stream = chunk(delta={"reasoning_content": "hm"}, finish_reason="length")
        assert read(stream).text == "<think>hm"

    def test_a_whole_answer(self) -> None:
        answer = Answer(streamed=False)
        message = {"content": "2", "reasoning_content": "hm"}
        answer.read(msgspec.json.encode({"choices": [{"message": message, "finish_reason": "stop"}]}))
        answer.end()
        completion = answer.completion(request_for(), 0)
        assert (completion.text, completion.tokens) == ("<think>hm</think>2", None)

    @pytest.mark.parametrize("stream", [b"", chunk(text="half"), b"<html>", b"data: {}\n\n"])
    def test_an_answer_without_end_is_a_passing_fault(self, stream: bytes) -> None:
        with pytest.raises(EngineError, match="cut off") as caught:
            read(stream)
        assert caught.value.retryable

    def test_an_abort_at_the_server_is_a_passing_fault(self) -> None:
        with pytest.raises(EngineError, match="'abort'") as caught:
            read(chunk(text="half", finish_reason="abort") + DONE)
        assert caught.value.retryable

    @pytest.mark.parametrize(
        ("event", "message", "retryable"),
        [
            (b'{"error": {"message": "no memory", "code": 500}}', "500 no memory", True),
            (b'{"error": {"message": "too long", "code": "400"}}', "400 too long", False),
            (b'{"error": {"message": "too long", "code": "length"}}', "error in the answer: too long", True),
            (b'{"error": "overloaded"}', "error in the answer: overloaded", True),
            (b'{"object": "error", "message": "bad\\nprompt", "code": 400}', "400 bad prompt", False),
        ],
    )
    def test_error_events(self, event: bytes, message: str, retryable: bool) -> None:
        with pytest.raises(EngineError) as caught:
            read(chunk(text="a") + b"data: " + event + b"\n\n")
        assert (str(caught.value), caught.value.retryable) == (message, retryable)

    @pytest.mark.parametrize("payload", [b"{", b"[]", b"\xff", b'{"choices": [{"text": 7}]}'])
    def test_what_is_no_chunk(self, payload: bytes) -> None:
        with pytest.raises(msgspec.DecodeError):
            Answer(streamed=True).read(payload)

    @given(st.lists(st.floats(-20, 0), min_size=1, max_size=9), st.integers(1, 4))
    def test_the_mean_does_not_depend_on_the_chunks(self, values: list[float], size: int) -> None:
        parts = [values[start : start + size] for start in range(0, len(values), size)]
        stream = b"".join(chunk(text="x", logprobs={"token_logprobs": part}) for part in parts)
        mean = read(stream + DONE).completion(request_for(), 0).mean_logprob
        assert mean is not None
        assert math.isclose(mean, sum(values) / len(values), abs_tol=1e-9)


class TestRefusal:
    @pytest.mark.parametrize(
        ("body", "words"),
        [
            (b'{"error": {"message": "model\\n not  found"}}', "413 model not found"),
            (b'{"error": "gone"}', "413 gone"),
            (b'{"object": "error", "message": "no"}', "413 no"),
            (b'{"detail": [{"loc": ["body"], "msg": "field required"}]}', "413 field required"),
            (b'{"error": {"message": null}}', "413 Too Large"),
            (b"plain words", "413 plain words"),
            (b"<html><h1>nginx</h1></html>", "413 Too Large"),
            (b"\xff\xfe", "413 \ufffd\ufffd"),
            (b"[" * 60_000, "413 " + "[" * 60_000),
            (b"", "413 Too Large"),
        ],
    )
    def test_one_line_of_the_servers_words(self, body: bytes, words: str) -> None:
        refusal = refused(413, "Too Large", body, None)
        assert str(refusal) == words
        assert not refusal.retryable

    def test_words_are_not_looked_for_without_end(self) -> None:
        assert server_words({"error": {"error": {"error": {"error": {"error": "deep"}}}}}) == ""

    def test_names_of_models(self) -> None:
        assert model_names(b'{"object": "list", "data": [{"id": "a", "x": 1}, {"id": "b"}]}') == ("a", "b")
        with pytest.raises(msgspec.DecodeError):
            model_names(b'{"models": []}')
