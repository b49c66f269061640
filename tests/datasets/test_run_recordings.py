from pathlib import Path

import pytest

from dynasor.datasets.recordings import read_recordings
from dynasor.errors import UsageError
from dynasor.journal.journal import JournalWriter
from dynasor.journal.records import Landed, ProgramFinished, Record, RunStarted
from dynasor.request import Completion, Finish, ProgramId, RequestId, Sample

START = RunStarted(settings={}, circumstances={})


def landed(
    program: str, index: int, answer: str | None, finish: Finish = Finish.STOP, tokens: int | None = 7
) -> Landed:
    id = RequestId(ProgramId(program), index)
    completion = Completion(id=id, text=f"text {index}", finish=finish, tokens=tokens, mean_logprob=-0.5)
    return Landed(answer=answer, completion=completion)


def finished(program: str) -> ProgramFinished:
    return ProgramFinished(
        program=program, question="1 + 1?", gold="2", answer="2", correct=1.0, certaindex=1.0, knob=3, tokens=20,
        stopped_by="cap", even_tokens=20.0,
    )  # fmt: skip


def run_of(directory: Path, *records: Record) -> str:
    with JournalWriter(directory / "journal.jsonl") as journal:
        for record in records:
            journal.append(record)
    return str(directory)


def test_a_run_is_a_recording_of_its_finished_branches(tmp_path: Path) -> None:
    run = run_of(
        tmp_path,
        START,
        landed("p", 1, "3"),
        landed("q", 0, "2"),
        landed("p", 0, "2"),
        landed("p", 2, None, Finish.LENGTH),
        landed("p", 3, None, Finish.CANCELLED),
        landed("p", 4, None, Finish.FAILED),
        finished("p"),
    )
    (recording,) = read_recordings(run)
    assert (recording.problem.id, recording.problem.question, recording.problem.gold) == ("p", "1 + 1?", "2")
    assert recording.problem.verdicts is None
    assert recording.samples == (Sample("2", 7, "", -0.5), Sample("3", 7, "", -0.5), Sample(None, 7, "", -0.5))
    (with_text,) = read_recordings(run, keep_text=True)
    assert [sample.text for sample in with_text.samples] == ["text 0", "text 1", "text 2"]


def test_it_is_known_by_its_directory_and_its_journal(tmp_path: Path) -> None:
    recordings = read_recordings(run_of(tmp_path, START, finished("p")))
    assert recordings.name == tmp_path.name
    assert len(recordings.digest()) == 64
    assert recordings.count() is None


def test_a_run_that_did_not_count_tokens_cannot_be_replayed(tmp_path: Path) -> None:
    run = run_of(tmp_path, START, landed("p", 0, "2", tokens=None), finished("p"))
    with pytest.raises(UsageError, match="did not count tokens"):
        list(read_recordings(run))


def test_a_run_without_an_answer_yet_is_told_to_go_on(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no finished problem yet; resume that run first"):
        list(read_recordings(run_of(tmp_path, START, landed("p", 0, "2"))))
