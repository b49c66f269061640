from pathlib import Path
from typing import Any

import pytest

import dynasor
from dynasor.engines.builtin import policy_gguf
from dynasor.engines.embedded_model import EmbeddedModel
from dynasor.errors import UsageError
from dynasor.launch.options import RunOptions
from dynasor.programs.prompt import STEP_BY_STEP
from dynasor.request import Sampling


def test_python_callers_may_give_paths_and_addresses_in_any_form() -> None:
    given: Any = {"trace": Path("a.jsonl"), "problems": Path("b.jsonl"), "out": "run", "endpoint": "http://host:8000"}
    options = RunOptions(**given)
    assert (options.trace, options.problems, options.out) == ("a.jsonl", "b.jsonl", Path("run"))
    assert options.endpoint == dynasor.Endpoint("http://host:8000/v1")


def test_a_model_may_be_a_path_or_the_one_that_is_shipped() -> None:
    given: Any = {"model": "m.gguf"}
    assert RunOptions(**given).model == RunOptions(model=EmbeddedModel(Path("m.gguf"))).model
    given = {"model": "builtin"}
    shipped = RunOptions(**given)
    assert shipped.model is not None
    assert shipped.model.file == policy_gguf()


def test_the_model_that_is_shipped_gets_bare_questions_unless_told_otherwise() -> None:
    given: Any = {"model": "builtin"}
    assert RunOptions(**given).prompt == "{question}"
    assert RunOptions(**given, prompt="Q: {question}").prompt == "Q: {question}"
    assert RunOptions(**{**given, "model": "m.gguf"}).prompt == STEP_BY_STEP


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model": 3}, "the model is 3; it must be the path of a GGUF file, or an EmbeddedModel"),
        ({"model": "builtin", "endpoint": "http://host"}, "both an endpoint and a model are to answer; give one"),
        ({"limit": 0}, "the limit is 0; it must be at least 1"),
        ({"limit": 2.0}, "the limit is 2.0; it must be a whole number"),
        ({"offset": -1}, "the offset is -1; it must be at least 0"),
        ({"cap": "20"}, "the cap is '20'; it must be a whole number"),
        ({"cap": True}, "the cap is True; it must be a whole number"),
        ({"cap": 0}, "the cap is 0; it must be at least 1"),
        ({"seed": None}, "the seed is None; it must be a whole number"),
        ({"concurrency": 0}, "the concurrency is 0; it must be at least 1"),
        ({"trace": 3}, "trace is 3; it must be text or a Path"),
        ({"endpoint": "host:8000"}, "'host:8000' is not the address of a server"),
        ({"sampling": Sampling(temperature=float("inf"))}, "the temperature is inf; it must be a number of at least 0"),
        ({"sampling": Sampling(temperature=-0.1)}, "the temperature is -0.1"),
        ({"sampling": Sampling(top_p=0.0)}, "top_p is 0.0; it must be above 0 and at most 1"),
        ({"sampling": Sampling(top_p=1.5)}, "top_p is 1.5"),
        ({"sampling": Sampling(top_p=float("nan"))}, "top_p is nan"),
        ({"sampling": Sampling(max_tokens=0)}, "the max_tokens is 0; it must be at least 1"),
        ({"sampling": Sampling(stop=("",))}, r"stop is \('',\); it must be a tuple of texts that are not empty"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        RunOptions(**given)
