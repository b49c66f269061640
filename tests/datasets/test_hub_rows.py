import sys
from collections.abc import Iterator, Mapping
from types import ModuleType, SimpleNamespace

import pytest

from dynasor.datasets.columns import Columns
from dynasor.datasets.hub import HubRows, Loaded, Split, stream
from dynasor.datasets.problem import Problem
from dynasor.datasets.problem_sets import FORMATS, ProblemSet, problem_set
from dynasor.errors import BadRow, EngineError, MissingExtra, UsageError

ROWS: list[Mapping[str, object]] = [
    {"question": "9 * 2?", "answer": "#### 18"},
    {"question": "1 + 1?", "answer": "#### 2"},
]


class FakeHub:
    """Answers every split with the same rows, and notes what was asked for."""

    def __init__(
        self, revision: str = "abc", fault: Exception | None = None, rows: list[Mapping[str, object]] = ROWS
    ) -> None:
        self.asked: list[Split] = []
        self._given = rows
        self._revision = revision
        self._fault = fault

    def __call__(self, split: Split) -> Loaded:
        self.asked.append(split)
        return Loaded(self._revision, self._rows())

    def _rows(self) -> Iterator[Mapping[str, object]]:
        yield from self._given
        if self._fault is not None:
            raise self._fault


def test_rows_become_problems() -> None:
    problems = ProblemSet(HubRows("hf:openai/gsm8k/main:test", FakeHub()), FORMATS["gsm8k"], Columns())
    assert list(problems) == [Problem("row-1", "9 * 2?", "18"), Problem("row-2", "1 + 1?", "2")]
    assert problems.name == "openai/gsm8k"


@pytest.mark.parametrize(
    ("source", "split"),
    [
        ("hf:openai/gsm8k/main:test", Split("openai/gsm8k", "main", "test")),
        ("hf:HuggingFaceH4/MATH-500:test", Split("HuggingFaceH4/MATH-500", None, "test")),
    ],
)
def test_the_parts_of_a_name(source: str, split: Split) -> None:
    hub = FakeHub()
    list(HubRows(source, hub))
    assert hub.asked == [split]


@pytest.mark.parametrize("source", ["hf:", "hf:gsm8k:test", "hf:openai/gsm8k", "hf:a/b/c/d:test", "hf:a/b:test[:10]"])
def test_a_name_of_another_form(source: str) -> None:
    with pytest.raises(UsageError, match="is not of the form hf:OWNER/NAME:SPLIT"):
        problem_set(source)


def test_the_digest_tells_split_and_revision() -> None:
    digests = {
        HubRows(source, FakeHub(revision)).digest()
        for source, revision in [
            ("hf:a/b:test", "1"),
            ("hf:a/b:test", "2"),
            ("hf:a/b:train", "1"),
            ("hf:a/b:test", "1"),
        ]
    }
    assert len(digests) == 3
    assert all(len(digest) == 64 for digest in digests)


class Refused(OSError):
    response = SimpleNamespace(status_code=404)


@pytest.mark.parametrize(
    "fault", [ValueError("Bad split: tset.\nAvailable: test"), FileNotFoundError("gone"), Refused()]
)
def test_an_unknown_data_set_is_the_users_fault(fault: Exception) -> None:
    rows = iter(HubRows("hf:a/b:tset", FakeHub(fault=fault)))
    assert [next(rows).line, next(rows).line] == [1, 2]
    with pytest.raises(UsageError, match=r"^cannot read hf:a/b:tset: [^\n]*$"):
        next(rows)


def test_an_outage_is_the_worlds_fault() -> None:
    with pytest.raises(EngineError, match="cannot read hf:a/b:test: timed out") as raised:
        list(HubRows("hf:a/b:test", FakeHub(fault=ConnectionError("timed out"))))
    assert raised.value.retryable


def test_a_bad_row_is_told_with_its_number() -> None:
    hub = FakeHub(rows=[*ROWS, {"question": None}])
    with pytest.raises(BadRow, match=r"^hf:a/b:test, line 3: .*column 'question'"):
        list(ProblemSet(HubRows("hf:a/b:test", hub), FORMATS["gsm8k"], Columns()))


def test_the_extra_is_named_where_the_library_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtra, match=r"^reading hf:a/b needs an extra: .*\[hub\]"):
        list(problem_set("hf:a/b:test"))


def test_the_library_is_asked_for_one_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def load_dataset(*names: str | None, **settings: object) -> list[Mapping[str, object]]:
        asked.extend([names, settings])
        return ROWS

    class HfApi:
        def dataset_info(self, name: str) -> SimpleNamespace:
            return SimpleNamespace(sha=f"newest of {name}")

    datasets, hub = ModuleType("datasets"), ModuleType("huggingface_hub")
    vars(datasets)["load_dataset"], vars(hub)["HfApi"] = load_dataset, HfApi
    monkeypatch.setitem(sys.modules, "datasets", datasets)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    assert stream(Split("a/b", "main", "test")) == Loaded("newest of a/b", ROWS)
    assert asked == [("a/b", "main"), {"split": "test", "revision": "newest of a/b", "streaming": True}]
