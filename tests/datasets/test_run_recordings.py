from pathlib import Path

import pytest

from dynasor.datasets.problem import Problem
from dynasor.datasets.recordings import read_recordings
from dynasor.errors import UsageError
from dynasor.journal.journal import JournalWriter, read_journal
from dynasor.journal.records import Landed, ProgramFinished, Record, RunStarted, Setting
from dynasor.launch.launch import run
from dynasor.request import Completion, Finish, ProgramId, RequestId, Sample


def started(**settings: Setting) -> RunStarted:
    return RunStarted(settings={"policy": "even", "in_flight": False, "cap": 5, **settings}, circumstances={})


START = started()


def landed(
    program: str, index: int, answer: str | None, finish: Finish = Finish.STOP, tokens: int | None = 7
) -> Landed:
    id = RequestId(ProgramId(program), index)
    completion = Completion(id=id, text=f"text {index}", finish=finish, tokens=tokens, mean_logprob=-0.5)
    return Landed(answer=answer, completion=completion)


def finished(program: str, failed_count: int = 0, verdicts: dict[str, float] | None = None) -> ProgramFinished:
    return ProgramFinished(
        program=program, question="1 + 1?", gold="2", answer="2", correct=1.0, certaindex=1.0, knob=3, tokens=20,
        stopped_by="cap", even_tokens=20.0, failed_count=failed_count, verdicts=verdicts,
    )  # fmt: skip


def run_of(directory: Path, *records: Record) -> str:
    with JournalWriter(directory / "journal.jsonl") as journal:
        for record in records:
            journal.append(record)
    return str(directory)


def test_a_run_is_a_recording_of_its_finished_branches(tmp_path: Path) -> None:
    source = run_of(
        tmp_path,
        START,
        landed("p", 1, "3"),
        landed("q", 0, "2"),
        landed("p", 0, "2"),
        landed("p", 2, None, Finish.LENGTH),
        landed("p", 3, None, Finish.CANCELLED),
        landed("p", 4, None, Finish.FAILED),
        finished("p", failed_count=1),
    )
    (recording,) = read_recordings(source)
    assert recording.problem == Problem("p", "1 + 1?", "2", verdicts=None)
    assert recording.samples == (Sample("2", 7, "", -0.5), Sample("3", 7, "", -0.5), Sample(None, 7, "", -0.5))
    assert recording.failed_count == 1


def test_the_verdicts_of_a_recorded_problem_go_along(tmp_path: Path) -> None:
    (recording,) = read_recordings(run_of(tmp_path, START, landed("p", 0, "2"), finished("p", verdicts={"2": 0.5})))
    assert recording.problem.verdicts == {"2": 0.5}


def test_it_is_known_by_its_directory_and_its_journal(tmp_path: Path) -> None:
    recordings = read_recordings(run_of(tmp_path, START, finished("p")))
    assert recordings.name == tmp_path.name
    assert len(recordings.digest()) == 64


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"policy": "decided", "in_flight": True},
            "was cut in flight, .* the short ones; replay a run of --policy even",
        ),
        (
            {"policy": "decided"},
            "is a run of policy decided: .* depends on what they said, .*record with --policy even",
        ),
        ({"policy": None}, "is a run of policy None"),
    ],
)
def test_a_run_whose_policy_chose_among_its_branches_is_refused(
    tmp_path: Path, settings: dict[str, Setting], message: str
) -> None:
    source = run_of(tmp_path, started(**settings), landed("p", 0, "2"), finished("p"))
    with pytest.raises(UsageError, match=message):
        list(read_recordings(source))


def test_results_without_settings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not begin with the settings of a run"):
        list(read_recordings(run_of(tmp_path, landed("p", 0, "2"), finished("p"))))


def test_a_run_that_did_not_count_tokens_cannot_be_replayed(tmp_path: Path) -> None:
    source = run_of(tmp_path, START, landed("p", 0, "2", tokens=None), finished("p"))
    with pytest.raises(UsageError, match="did not count tokens"):
        list(read_recordings(source))


@pytest.mark.parametrize("records", [(), (START, landed("p", 0, "2"))])
def test_a_run_without_an_answer_yet_is_told_to_go_on(tmp_path: Path, records: tuple[Record, ...]) -> None:
    with pytest.raises(UsageError, match="has no finished problem yet; resume that run first"):
        list(read_recordings(run_of(tmp_path, *records)))


def test_a_replay_beyond_failed_branches_is_told_why(tmp_path: Path) -> None:
    failed = landed("p", 1, None, Finish.FAILED)
    source = run_of(tmp_path, START, landed("p", 0, "2"), failed, finished("p", failed_count=1))
    message = r"the cap is 2, .* has 1 samples for problem 'p' \(1 of its branches failed\); lower the cap"
    with pytest.raises(UsageError, match=message):
        run(trace=source, policy="even", cap=2, out=tmp_path / "replay")


def results(directory: Path) -> dict[str, tuple[str | None, float | None]]:
    records = read_journal(directory / "journal.jsonl")
    return {r.program: (r.answer, r.correct) for r in records if isinstance(r, ProgramFinished)}


def branches(directory: Path) -> dict[RequestId, tuple[str | None, int | None]]:
    records = read_journal(directory / "journal.jsonl")
    return {r.completion.id: (r.answer, r.completion.tokens) for r in records if isinstance(r, Landed)}


@pytest.mark.slow
def test_a_replayed_run_is_the_run(tmp_path: Path) -> None:
    source, replay, shuffled = (tmp_path / name for name in ("source", "replay", "shuffled"))
    run(trace="svamp", policy="even", cap=30, limit=300, seed=4, out=source)
    run(trace=str(source), policy="even", cap=30, out=replay)
    run(trace=str(source), policy="even", cap=30, seed=1, out=shuffled)
    assert results(replay) == results(source)
    assert len(results(replay)) == 300
    assert branches(replay) == branches(source), "branch i is branch i"
    assert branches(shuffled) != branches(source), "but a seed was asked for"
