from pathlib import Path
from typing import Any

import pytest

from dynasor.engines.embedded_model import EmbeddedModel
from dynasor.engines.embedded_wire import EmbeddedAnswer, encoded
from dynasor.errors import EngineError
from dynasor.request import Finish, Message, Prompt, Report, continued
from support.live_engine import request

TURNS = (Message("system", "Be brief."), Message("user", "Why?"))


def encode(
    prompt: Prompt, *, has_template: bool = True, api: Any = "auto", **settings: Any
) -> tuple[bool, dict[str, Any]]:
    return encoded(request(prompt, **settings), EmbeddedModel(Path("m.gguf"), api=api), has_template=has_template)


@pytest.mark.parametrize(
    ("prompt", "api", "has_template", "expected"),
    [
        ("Why?", "auto", True, {"prompt": "Why?"}),
        ("Why?", "chat", True, {"messages": [{"role": "user", "content": "Why?"}]}),
        (TURNS, "auto", False, {"prompt": "Be brief.\n\nWhy?"}),
        (TURNS, "completions", True, {"prompt": "Be brief.\n\nWhy?"}),
        (continued(TURNS, " As"), "auto", False, {"prompt": "Be brief.\n\nWhy? As"}),
        (TURNS[1:], "auto", True, {"messages": [{"role": "user", "content": "Why?"}], "reasoning_format": "none"}),
    ],
)
def test_how_a_prompt_is_put(prompt: Prompt, api: str, has_template: bool, expected: dict[str, Any]) -> None:
    chat, fields = encode(prompt, api=api, has_template=has_template)
    assert chat == ("messages" in expected)
    assert expected.items() <= fields.items()
    assert not {"prompt", "messages"} <= fields.keys()


def test_the_sampling_as_it_is_asked_for() -> None:
    _, fields = encode("q", temperature=0.5, top_p=0.9, max_tokens=7, stop=("a", "b"), seed=-1)
    asked = {"temperature": 0.5, "top_p": 0.9, "max_tokens": 7, "stop": ["a", "b"], "seed": (1 << 32) - 1}
    assert fields["verbose"], "else it does not tell where it stopped"
    assert asked.items() <= fields.items()
    assert {"top_k": 0, "min_p": 0.0, "stream": True}.items() <= fields.items()
    assert not {"stop", "verbose", "seed", "logprobs"} & encode("q")[1].keys()


@pytest.mark.parametrize(("prompt", "logprobs"), [("q", 1), (TURNS, True)])
def test_log_probabilities_of_the_chosen_token_alone(prompt: Prompt, logprobs: object) -> None:
    _, fields = encode(prompt, logprobs=True)
    assert fields["logprobs"] == logprobs
    assert fields.get("top_logprobs", 1) == 1


def test_fields_of_the_users_own_come_last() -> None:
    model = EmbeddedModel(Path("m.gguf"), extra_body={"top_k": 5, "mirostat": 2})
    _, fields = encoded(request("q"), model, has_template=True)
    assert (fields["top_k"], fields["mirostat"]) == (5, 2)


def chunk(text: str | None = None, count: int = 0, finish: str | None = None) -> dict[str, Any]:
    timings = {"cache_n": 3, "prompt_n": 4, "predicted_n": count}
    return {"choices": [{"text": text, "finish_reason": finish}], "timings": timings}


def test_a_cut_answer_tells_what_there_was() -> None:
    answer = EmbeddedAnswer()
    assert answer.cancelled(request("q")).tokens == 0
    answer.read(chunk())
    assert answer.prompt_tokens is None, "it is still being read"
    for count, text in enumerate(("so ", "so"), start=1):
        answer.read(chunk(text, count))
    cut = answer.cancelled(request("q"))
    assert (cut.finish, cut.text, cut.tokens, cut.prompt_tokens) == (Finish.CANCELLED, "so so", 2, 7)


@pytest.mark.parametrize(
    ("verbose", "expected"),
    [
        ({"stop_type": "word", "stopping_word": "="}, "="),
        ({"stop_type": "eos", "stopping_word": ""}, None),
        ({"tokens": [7]}, None),
        (None, None),
    ],
)
def test_the_stop_string_that_ended_it(verbose: object, expected: str | None) -> None:
    answer = EmbeddedAnswer()
    answer.read(chunk("so", 1))
    answer.read({**chunk("", 2, "stop"), "__verbose": verbose})
    assert answer.completion(request("q", stop=("=",))).stopped_at == expected


def test_a_report_tells_what_there_is() -> None:
    answer = EmbeddedAnswer()
    logprobs = {"content": [{"logprob": -0.5}]}
    answer.read({**chunk(count=1), "choices": [{"text": "so", "logprobs": logprobs}]})
    id = request("q").id
    assert answer.report(id) == Report(id=id, text="so", tokens=1, lowest_logprob=-0.5)
    assert not answer.ended


@pytest.mark.parametrize(
    ("given", "message", "retryable"),
    [
        ({"error": {"code": 503, "message": "Loading\nmodel"}}, "llama.cpp: Loading model", True),
        ({"error": {"code": 400, "message": "no"}}, "llama.cpp: no", False),
        ({"error": {}}, "llama.cpp: no reason given", True),
        ({"choices": 3}, "llama.cpp gave an answer that cannot be read: Expected `array | null`", False),
        (chunk("so", 1), "llama.cpp ended the answer before its end", True),
        (chunk("", 0, "length"), "the prompt is empty, or holds no symbol that the model knows", False),
    ],
)
def test_faults(given: object, message: str, retryable: bool) -> None:
    answer = EmbeddedAnswer()
    answer.read(given)
    with pytest.raises(EngineError, match=message) as raised:
        answer.completion(request("q"))
    assert raised.value.retryable is retryable
