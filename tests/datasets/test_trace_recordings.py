import gzip
import hashlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from dynasor.datasets.problem import Problem, Recording
from dynasor.datasets.recordings import read_recordings
from dynasor.errors import BadRow, UnknownName, UsageError
from dynasor.request import Sample

QUESTION: dict[str, Any] = {
    "id": "q1",
    "question": "9 * 2?",
    "gold": "18",
    "samples": [
        {"answer": "18", "tokens": 5, "correct": True, "text": "It is 18.", "logprob": -0.5, "run": "x"},
        {"answer": None, "tokens": 0, "correct": False, "text": "Hm.", "reward": 1},
    ],
}


def trace(folder: Path, *questions: dict[str, Any]) -> Path:
    path = folder / "model__set.jsonl"
    path.write_bytes(b"\n".join(map(msgspec.json.encode, questions)))
    return path


def read(path: Path) -> list[Recording]:
    return list(read_recordings(str(path)))


def test_a_trace_becomes_recordings(tmp_path: Path) -> None:
    assert read(trace(tmp_path, QUESTION)) == [
        Recording(
            Problem("q1", "9 * 2?", "18", verdicts={"18": 1.0}),
            (Sample("18", 5, mean_logprob=-0.5), Sample(None, 0, reward=1.0)),
        )
    ]


def test_question_and_gold_may_be_missing(tmp_path: Path) -> None:
    (recording,) = read(trace(tmp_path, {"id": 3, "samples": QUESTION["samples"]}))
    assert recording.problem == Problem("3", "", None, verdicts={"18": 1.0})


def test_answers_that_are_no_text_become_text(tmp_path: Path) -> None:
    given = [18, 18.0, 2.5, True, [1, 2]]
    samples = [{"answer": answer, "tokens": 1, "correct": False} for answer in given]
    (recording,) = read(trace(tmp_path, QUESTION | {"gold": 18.0, "samples": samples}))
    assert [sample.answer for sample in recording.samples] == ["18", "18", "2.5", "True", "[1, 2]"]
    assert recording.problem.gold == "18"


def test_a_verdict_is_the_share_of_right_samples(tmp_path: Path) -> None:
    marks = [("a", True), ("a", False), ("a", True), ("a", True), ("b", False), (None, True)]
    samples = [{"answer": answer, "tokens": 1, "correct": correct} for answer, correct in marks]
    (recording,) = read(trace(tmp_path, QUESTION | {"samples": samples}))
    assert recording.problem.verdicts == {"a": 0.75, "b": 0.0}


def test_the_same_question_answered_by_several_models(tmp_path: Path) -> None:
    path = trace(tmp_path, QUESTION | {"model": "acme/one"}, QUESTION | {"model": "acme/two"})
    assert [recording.problem.id for recording in read(path)] == ["acme/one/q1", "acme/two/q1"]


SAMPLE = QUESTION["samples"][0]
BAD_QUESTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "no samples": ({"id": "q2"}, "no 'samples'"),
    "an empty list": ({"id": "q2", "samples": []}, r"length >= 1 - at `\$\.samples`"),
    "samples that are no list": ({"id": "q2", "samples": 3}, r"got `int` - at `\$\.samples`"),
    "no id": ({"samples": [SAMPLE]}, "missing required field `id`"),
    "no tokens": ({"id": "q2", "samples": [SAMPLE, {"answer": "1", "correct": True}]}, r"`tokens` - at `\$\.samples\["),
    "negative tokens": ({"id": "q2", "samples": [SAMPLE | {"tokens": -1}]}, r">= 0 - at `\$\.samples\[.*\]\.tokens`"),
    "not judged": ({"id": "q2", "samples": [{"answer": "1", "tokens": 1}]}, "missing required field `correct`"),
    "a judgement that is none": ({"id": "q2", "samples": [SAMPLE | {"correct": "yes"}]}, "Expected `bool`"),
    "no answer": ({"id": "q2", "samples": [{"tokens": 1, "correct": True}]}, "missing required field `answer`"),
    "a duplicate id": (QUESTION, "the id 'q1' is taken by line 1"),
}


@pytest.mark.parametrize("case", BAD_QUESTIONS)
def test_a_bad_line_is_told_with_its_place(case: str, tmp_path: Path) -> None:
    question, fault = BAD_QUESTIONS[case]
    path = trace(tmp_path, QUESTION, question)
    with pytest.raises(BadRow, match=rf"model__set\.jsonl, line 2: .*{fault}"):
        read(path)


def test_a_line_that_is_no_json(tmp_path: Path) -> None:
    path = trace(tmp_path, QUESTION)
    path.write_bytes(path.read_bytes() + b"\n{oops}\n")
    with pytest.raises(BadRow, match=r"line 2: not the JSON object that is needed"):
        read(path)


def test_a_search_log_is_not_a_set_of_samples(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"model__set\.jsonl is a search log, not a set of samples"):
        read(trace(tmp_path, {"id": "q1", "gold": "24", "steps": [{"values": [1]}]}))


def test_an_empty_trace(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no recordings"):
        read(trace(tmp_path))


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("id,samples\n")
    with pytest.raises(UnknownName, match=r"unknown trace format '\.csv'"):
        read_recordings(str(tmp_path / "x.csv"))
    with pytest.raises(UsageError, match=r"^no such file"):
        read_recordings(str(tmp_path / "gone.jsonl"))


def test_a_directory(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a directory"):
        read_recordings(str(tmp_path))


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz", ".jsonl.zst"])
def test_every_ending(ending: str, tmp_path: Path) -> None:
    content = msgspec.json.encode(QUESTION)
    packed = {".gz": gzip.compress, ".zst": zstandard.ZstdCompressor().compress}.get(Path(ending).suffix, bytes)(
        content
    )
    path = tmp_path / f"a-0.5b{ending}"
    path.write_bytes(packed)
    recordings = read_recordings(str(path))
    assert recordings.name == "a-0.5b"
    assert recordings.digest() == hashlib.sha256(packed).hexdigest()
    assert [recording.problem.id for recording in recordings] == ["q1"]
    assert [recording.problem.id for recording in recordings] == ["q1"], "a recording can be read again"


marked = st.fixed_dictionaries(
    {
        "answer": st.none() | st.text(st.characters(codec="utf-8"), max_size=3),
        "tokens": st.integers(0, 10**6),
        "correct": st.booleans(),
    },
    optional={"logprob": st.floats(-10, 0), "reward": st.floats(-5, 5)},
)


@pytest.fixture(scope="module")
def round_trip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("round_trip")


@settings(max_examples=30)
@given(st.lists(st.lists(marked, min_size=1, max_size=6), min_size=1, max_size=4))
def test_samples_come_back_in_order(round_trip: Path, drawn: list[list[dict[str, Any]]]) -> None:
    path = trace(round_trip, *({"id": n, "samples": samples} for n, samples in enumerate(drawn)))
    for recording, samples in zip(read(path), drawn, strict=True):
        assert recording.samples == tuple(
            Sample(s["answer"], s["tokens"], "", s.get("logprob"), s.get("reward")) for s in samples
        )
        verdicts = recording.problem.verdicts
        assert verdicts is not None
        right = sum(verdicts[s.answer] for s in recording.samples if s.answer is not None)
        assert right == pytest.approx(sum(s["correct"] for s in samples if s["answer"] is not None))
