"""The shipped recording holds what its source was measured to hold."""

import gzip
from collections import Counter
from math import comb
from pathlib import Path

import pytest

from dynasor.datasets.files import built_in_names, found
from dynasor.datasets.problem import Recording, judge
from dynasor.datasets.recordings import read_recordings
from dynasor.errors import UsageError


@pytest.fixture(scope="module")
def svamp() -> list[Recording]:
    return list(read_recordings("svamp"))


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def votes(recording: Recording) -> Counter[str]:
    return Counter(sample.answer for sample in recording.samples if sample.answer is not None)


def all_agree(recording: Recording, size: int) -> float:
    """The probability that so many samples, drawn without replacement, give the same answer."""
    return sum(comb(count, size) for count in votes(recording).values()) / comb(len(recording.samples), size)


def majority_right(recording: Recording) -> float:
    tally = votes(recording)
    tied = [answer for answer, count in tally.items() if count == max(tally.values())]
    return mean([judge(recording.problem, answer) or 0.0 for answer in tied])


def test_its_shape(svamp: list[Recording]) -> None:
    assert len(svamp) == 999
    assert {len(recording.samples) for recording in svamp} == {30}
    assert all(recording.problem.question and recording.problem.gold for recording in svamp)
    assert svamp[0].problem.gold == "51"


def test_its_accuracy(svamp: list[Recording]) -> None:
    right = [judge(recording.problem, sample.answer) or 0.0 for recording in svamp for sample in recording.samples]
    assert mean(right) == pytest.approx(0.8051, abs=0.0005)
    assert mean([majority_right(recording) for recording in svamp]) == pytest.approx(0.8809, abs=0.0005)


def test_how_often_samples_agree(svamp: list[Recording]) -> None:
    assert mean([all_agree(recording, 5) for recording in svamp]) == pytest.approx(0.6264, abs=0.001)
    assert mean([all_agree(recording, 30) for recording in svamp]) == pytest.approx(0.3674, abs=0.0005)


def test_its_tokens_and_its_missing_answers(svamp: list[Recording]) -> None:
    samples = [sample for recording in svamp for sample in recording.samples]
    assert mean([float(sample.tokens) for sample in samples]) == pytest.approx(38.1, abs=0.05)
    assert mean([float(sample.answer is None) for sample in samples]) == pytest.approx(0.0066, abs=0.00005)


def test_its_samples_are_in_exchangeable_order(svamp: list[Recording]) -> None:
    """Neighbours are equal as often as any two samples are: nothing is sorted."""
    chance = mean([all_agree(recording, 2) for recording in svamp])
    neighbours = [
        float(first.answer is not None and first.answer == second.answer)
        for recording in svamp
        for first, second in zip(recording.samples, recording.samples[1:], strict=False)
    ]
    assert mean(neighbours) == pytest.approx(chance, rel=0.01)


def test_it_can_be_made_again_byte_for_byte() -> None:
    head = found("svamp").read_bytes()[:10]
    assert head[3] == 0, "no file name in the header"
    assert head[4:8] == bytes(4), "no time in the header"
    fields = gzip.decompress(found("svamp").read_bytes()).split(b"\n", 1)[0]
    assert b'"lp_rank"' not in fields


def test_it_is_known_by_its_name_and_has_a_notice() -> None:
    recordings = read_recordings("svamp")
    assert (built_in_names(), recordings.name) == (["svamp"], "svamp")
    notice = found("svamp").with_name("NOTICE").read_text()
    assert "TIGER-AI-Lab/Program-of-Thoughts" in notice
    assert "Copyright (c) 2024 wenhu chen" in notice
    assert "Copyright (c) 2021 Arkil Patel" in notice


def test_a_file_of_that_name_is_reached_by_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "svamp").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    assert found("./svamp") == Path("svamp")
    assert found("svamp") != Path("svamp")


def test_another_name_is_told_the_built_in_ones() -> None:
    with pytest.raises(UsageError, match=r"^no such file: swamp \(built in: svamp\)$"):
        read_recordings("swamp")
