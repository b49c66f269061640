from pathlib import Path
from typing import Any

import pytest

import dynasor
from dynasor.errors import UsageError
from dynasor.launch.options import RunOptions
from dynasor.request import Sampling


def test_python_callers_may_give_paths_and_addresses_in_any_form() -> None:
    given: Any = {"trace": Path("a.jsonl"), "problems": Path("b.jsonl"), "out": "run", "endpoint": "http://host:8000"}
    options = RunOptions(**given)
    assert (options.trace, options.problems, options.out) == ("a.jsonl", "b.jsonl", Path("run"))
    assert options.endpoint == dynasor.Endpoint("http://host:8000/v1")


@pytest.mark.parametrize(
    ("given", "message"),
    [
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
