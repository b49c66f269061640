from pathlib import Path

import pytest

import dynasor
from dynasor.answers.symbolic import SymbolicChecker
from dynasor.datasets.problem import Problem, judge
from dynasor.errors import UnknownName, UsageError
from dynasor.journal.journal import JournalWriter, read_journal
from dynasor.journal.records import Landed, ProgramFinished, RunStarted
from dynasor.launch.comparing import _symbolic_judge
from dynasor.request import Completion, ProgramId, RequestId
from dynasor.wiring import make_algorithm, make_policy


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def two_at_a_time(progress: dynasor.Progress) -> dynasor.Grant:
    """Draw two, and two more while they disagree."""
    return dynasor.stop("agreed") if progress.votes.leader >= 2 else dynasor.Grant(2)


class FirstAnswer(dynasor.Program):
    """One branch is enough."""

    def execute(self) -> dynasor.Execution:
        yield self.claim()
        (branch,) = yield self.gang(1)
        return self.answer_of(branch)


def test_a_run_from_python_in_a_few_lines() -> None:
    tally = dynasor.run(trace="svamp", policy="decided", cap=10, limit=30, out=Path("run"))
    assert tally.finished == 30
    assert tally.accuracy is not None
    assert 0.5 < tally.accuracy.value <= 1.0
    assert tally.saving.estimate().value > 0.1
    assert Path("run/answers.jsonl").exists()


def test_a_policy_may_be_any_function_and_an_algorithm_any_program() -> None:
    tally = dynasor.run(trace="svamp", policy=two_at_a_time, cap=10, limit=20)
    assert set(tally.stops) <= {"agreed", "cap"}
    single = dynasor.run(trace="svamp", policy="even", algorithm=FirstAnswer, cap=10, limit=20)
    assert single.knob.mean == 1.0
    assert len(list(Path("runs").iterdir())) == 2, "each is named after what it ran"


def run_with_answers(directory: Path, *answers: str) -> str:
    directory.mkdir()
    with JournalWriter(directory / "journal.jsonl") as journal:
        journal.append(RunStarted(settings={"policy": "even"}, circumstances={}))
        for index, answer in enumerate(answers):
            completion = Completion(id=RequestId(ProgramId("p"), index), tokens=5)
            journal.append(Landed(answer=answer, completion=completion))
        journal.append(
            ProgramFinished(
                program="p", question="?", gold="1/2", answer=None, correct=0.0, certaindex=0.0, knob=3,
                tokens=15, stopped_by="cap", even_tokens=10.0,
            )
        )  # fmt: skip
    return str(directory)


def finished(directory: str) -> ProgramFinished:
    (record,) = (r for r in read_journal(Path(directory) / "journal.jsonl") if isinstance(r, ProgramFinished))
    return record


@pytest.mark.parametrize(("grouping", "certaindex"), [("auto", 0.421), ("normal-form", 0.421), ("text", 0.0)])
def test_which_answers_are_the_same_is_a_choice(grouping: str, certaindex: float) -> None:
    trace = run_with_answers(Path("recorded"), "0.50", "1/2", "1/3")
    dynasor.run(trace=trace, policy="even", cap=3, grouping=grouping, out=Path("out"))
    record = finished("out")
    assert record.certaindex == pytest.approx(certaindex, abs=1e-3)
    assert record.correct == 1.0, "the judge compares normal forms in any case"


@pytest.mark.slow
def test_symbolic_equality_groups_and_judges() -> None:
    trace = run_with_answers(Path("recorded"), r"\frac{\sqrt{4}}{4}", r"\frac{1}{\sqrt{4}}", "1/3")
    dynasor.run(trace=trace, policy="even", cap=3, grouping="symbolic", out=Path("out"))
    record = finished("out")
    assert record.certaindex == pytest.approx(0.421, abs=1e-3)
    assert record.correct == 1.0


def test_the_symbolic_judge_asks_only_where_it_must() -> None:
    class Silent(SymbolicChecker):
        def same(self, a: str, b: str) -> bool:
            raise AssertionError((a, b))

    judged = _symbolic_judge(Silent(), judge)
    assert judged(Problem("p", "?", "1/2"), "0.5") == 1.0
    assert judged(Problem("p", "?", None), "0.5") is None
    assert judged(Problem("p", "?", "1/2"), None) == 0.0
    assert judged(Problem("p", "?", "1/2", verdicts={"x": 1.0}), "y") == 0.0


def test_a_missing_extra_is_found_before_anything_is_paid_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dynasor.launch.comparing.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"symbolic equality needs an extra: pip install 'dynasor-serve\[symbolic\]'"):
        dynasor.run(trace="svamp", grouping="symbolic")


def test_an_unknown_grouping_is_named() -> None:
    with pytest.raises(UnknownName, match="unknown grouping 'telepathic'"):
        dynasor.run(trace="svamp", grouping="telepathic")


class Point:
    """An entry point of another package."""

    def __init__(self, name: str, loaded: object) -> None:
        self.name = name
        self._loaded = loaded

    def load(self) -> object:
        return self._loaded


def test_other_packages_add_programs_and_policies(monkeypatch: pytest.MonkeyPatch) -> None:
    from dynasor.allocation.baselines import Windows

    points = {"dynasor.programs": [Point("first", FirstAnswer)], "dynasor.policies": [Point("mine", Windows)]}
    monkeypatch.setattr("dynasor.wiring.entry_points", lambda group: points[group])
    assert make_algorithm("first") is FirstAnswer
    assert make_policy("mine:window=3+even")[1] == "mine:window=3+even"
    with pytest.raises(UsageError, match=r"unknown algorithm 'second' .*first"):
        make_algorithm("second")


def test_the_package_offers_what_it_says() -> None:
    assert all(getattr(dynasor, name) is not None for name in dynasor.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        dynasor.nothing  # noqa: B018
