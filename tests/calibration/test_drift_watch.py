"""Shadows, alarms and resumes, in real batches over recorded samples."""

from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random

import pytest

from dynasor.allocation.allocator import InRounds
from dynasor.allocation.progress import Progress
from dynasor.allocation.threshold import StaticThreshold
from dynasor.answers.grouping import ByText
from dynasor.calibration.drift import EFFORT, LOSS, Expectation
from dynasor.calibration.drift_watch import DriftWatch
from dynasor.calibration.guarantee import Promise
from dynasor.datasets.problem import Problem
from dynasor.engines.recorded import RecordedEngine
from dynasor.journal.journal import JOURNAL, read_journal
from dynasor.journal.records import Alarmed, ProgramFinished, Record
from dynasor.programs.program import Setup
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.request import Completion, Finish, Request, Sample
from dynasor.runtime.batch import Batch, BatchPlan
from dynasor.runtime.in_flight import Limits
from dynasor.wiring import session_of
from support.batches import StillClock

CAP = 6
HASTY = StaticThreshold(threshold=0.9, detect_at=2)
SETUP = Setup(cap=CAP, grouping=ByText)
MISLED, CLEAR, DIVIDED = "bbaaaa", "aaaaaa", "abbaaa"
"""Two agree wrongly at first; all agree; none agree at first."""


def samples_of(answers: Iterable[str]) -> dict[str, tuple[Sample, ...]]:
    return {f"p{n}": tuple(Sample(letter, 10) for letter in word) for n, word in enumerate(answers)}


def watch_of(share: float = 1.0, *, effort: float | None = None, tolerance: float = 0.1) -> DriftWatch:
    expected = Expectation(Promise(tolerance, 0.9), 0.2, effort)
    return DriftWatch(HASTY, expected, share=share, seed=0, cap=CAP)


def batch_of(
    directory: Path, answers: list[str], watch: DriftWatch, engine: RecordedEngine | None = None, programs: int = 4
) -> Batch:
    samples = samples_of(answers)
    plan = BatchPlan(
        problems=[Problem(id, f"{id}?", "a") for id in samples],
        session=session_of(SelfConsistency, SETUP, watch.allocator),
        settings={"cap": CAP, "promise": "none"},
        cap=CAP,
        limits=Limits(requests=1000, programs=programs),
        overseer=watch,
    )
    return Batch(plan, engine or RecordedEngine(samples), StillClock(), directory)


def records(directory: Path) -> list[Record]:
    return list(read_journal(directory / JOURNAL))


def finished(directory: Path) -> dict[str, ProgramFinished]:
    return {record.program: record for record in records(directory) if isinstance(record, ProgramFinished)}


async def test_a_shadow_goes_to_its_cap_and_tells_what_its_policy_would_have_made_of_it(tmp_path: Path) -> None:
    tally = await batch_of(tmp_path, [MISLED, CLEAR, DIVIDED], watch_of()).run()
    misled, clear, divided = finished(tmp_path).values()
    assert (misled.answer, misled.correct, misled.knob, misled.tokens, misled.stopped_by) == ("a", 1.0, 6, 60, "cap")
    assert misled.shadow is not None
    assert (misled.shadow.answer, misled.shadow.correct, misled.shadow.knob) == ("b", 0.0, 2)
    assert (misled.shadow.tokens, misled.shadow.stopped_by) == (20, "certain")
    assert clear.shadow is not None
    assert (clear.shadow.answer, clear.shadow.knob) == ("a", 2)
    assert divided.shadow is not None
    assert (divided.shadow.knob, divided.shadow.tokens, divided.shadow.stopped_by) == (6, 60, "cap")
    shadows = tally.shadows
    assert (shadows.count, shadows.changed, shadows.lost.count) == (3, 1, 3)
    assert shadows.lost.mean == pytest.approx(1 / 3)
    assert shadows.saving.estimate().value == pytest.approx(1 - 100 / 180)
    summary = tally.summary()
    assert summary["shadow_programs"] == 3
    assert summary["alarm"] is None


async def test_what_a_shadow_tells_is_what_the_policy_makes_of_the_same_branches(tmp_path: Path) -> None:
    random = Random(3)
    answers = ["".join(random.choice("aab") for _ in range(CAP)) for _ in range(60)]
    shadows, alone = tmp_path / "shadows", tmp_path / "alone"
    await batch_of(shadows, answers, watch_of(tolerance=0.5)).run()
    await batch_of(alone, answers, watch_of(share=0.0, tolerance=0.5)).run()
    run = finished(alone)
    for id, record in finished(shadows).items():
        told = record.shadow
        assert told is not None
        assert run[id].shadow is None
        assert [getattr(told, name) for name in told.__struct_fields__] == [
            getattr(run[id], name) for name in told.__struct_fields__
        ]


async def test_an_alarm_is_a_record_and_what_has_not_started_gets_even_allocation(tmp_path: Path) -> None:
    tally = await batch_of(tmp_path, [MISLED] * 40, watch_of()).run()
    alarm = tally.alarm
    assert alarm is not None
    assert (alarm.reason, alarm.mean, alarm.most) == (LOSS, 1.0, 0.1)
    assert alarm.programs == alarm.shadows < 20
    assert alarm in records(tmp_path)
    later = [record for record in finished(tmp_path).values() if record.policy == "even"]
    assert 40 - len(later) == alarm.programs + len(alarm.running)
    assert all(record.shadow is None and record.knob == CAP for record in later)
    told = tally.summary()["alarm"]
    assert told == {"reason": LOSS, "mean": 1.0, "most": 0.1, "programs": alarm.programs, "shadows": alarm.shadows}


async def test_effort_alone_raises_the_alarm_where_no_program_is_a_shadow(tmp_path: Path) -> None:
    tally = await batch_of(tmp_path, [CLEAR] * 30 + [DIVIDED] * 60, watch_of(share=0.0, effort=0.4)).run()
    assert tally.alarm is not None
    assert (tally.alarm.reason, tally.alarm.shadows) == (EFFORT, 0)
    assert tally.alarm.programs > 30


async def test_programs_are_looked_at_in_the_order_of_the_problems(tmp_path: Path) -> None:
    """The short ones end first; were they looked at first, or the long ones as they come, the count would differ."""
    counts = set()
    for programs in (1, 3, 64):
        directory = tmp_path / str(programs)
        watch = watch_of(share=0.0, effort=0.5)
        tally = await batch_of(directory, [DIVIDED, CLEAR] * 4 + [DIVIDED] * 50, watch, programs=programs).run()
        assert tally.alarm is not None
        counts.add((tally.alarm.programs, tally.alarm.mean))
    assert len(counts) == 1


class Stopping(RecordedEngine):
    """Is gone after so many completions."""

    def __init__(self, samples: dict[str, tuple[Sample, ...]], left: int) -> None:
        super().__init__(samples)
        self.left = left

    async def ready(self) -> list[Completion]:
        ended = super().take()
        self.left -= len(ended)
        if self.left < 0:
            raise KeyboardInterrupt
        return ended


@pytest.mark.parametrize("landed", [3, 20, 45, 80, 150])
async def test_a_killed_run_goes_on_to_the_same_alarm_with_the_same_shadows(tmp_path: Path, landed: int) -> None:
    answers = [CLEAR, MISLED] * 24
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    reference = await batch_of(whole, answers, watch_of(share=0.6)).run()
    with pytest.raises(KeyboardInterrupt):
        await batch_of(killed, answers, watch_of(share=0.6), Stopping(samples_of(answers), landed)).run()
    tally = await batch_of(killed, answers, watch_of(share=0.6)).run()
    assert reference.alarm is not None
    assert tally.alarm is not None
    assert tally.alarm.programs == reference.alarm.programs
    assert sum(isinstance(record, Alarmed) for record in records(killed)) == 1
    assert tally.finished == 48
    before = [f"p{n}" for n in range(reference.alarm.programs)]
    shadows = {id: finished(whole)[id].shadow for id in before}
    assert {id: finished(killed)[id].shadow for id in before} == shadows
    again = await batch_of(killed, answers, watch_of(share=0.6)).run()
    assert again.summary() == tally.summary()


async def test_an_alarm_whose_record_was_torn_off_is_raised_again(tmp_path: Path) -> None:
    answers = [MISLED] * 40
    await batch_of(tmp_path, answers, watch_of()).run()
    journal = tmp_path / JOURNAL
    lines = journal.read_bytes().splitlines(keepends=True)
    place = next(n for n, line in enumerate(lines) if b'"kind":"alarm"' in line)
    journal.write_bytes(b"".join(lines[:place]))
    tally = await batch_of(tmp_path, answers, watch_of()).run()
    assert tally.alarm is not None
    assert sum(isinstance(record, Alarmed) for record in records(tmp_path)) == 1
    assert tally.finished == 40
    even = {id for id, record in finished(tmp_path).items() if record.policy == "even"}
    assert even.isdisjoint(tally.alarm.running)
    assert len(even) + len(tally.alarm.running) + tally.alarm.programs == 40


class Flaky(RecordedEngine):
    """Lets one problem down."""

    def submit(self, request: Request) -> None:
        if request.id.program == "p1":
            self._ended.append(Completion(id=request.id, finish=Finish.FAILED, error="503", retryable=True))
        else:
            super().submit(request)


async def test_a_program_that_the_engine_lets_down_does_not_hold_up_those_behind_it(tmp_path: Path) -> None:
    answers = [MISLED] * 40
    batch = batch_of(tmp_path, answers, watch_of(), Flaky(samples_of(answers)))
    tally = await batch.run()
    assert set(batch.stalled) == {"p1"}
    assert tally.alarm is not None
    assert (await batch_of(tmp_path, answers, watch_of()).run()).finished == 40
    assert "p1" in tally.alarm.running
    assert finished(tmp_path)["p1"].policy is None, "it had started before the alarm"


async def test_without_labels_answers_are_compared(tmp_path: Path) -> None:
    samples = samples_of([MISLED] * 60)
    watch = watch_of()
    plan = BatchPlan(
        problems=[Problem(id, f"{id}?", None) for id in samples],
        session=session_of(SelfConsistency, SETUP, watch.allocator),
        settings={"cap": CAP, "promise": "none"},
        cap=CAP,
        limits=Limits(requests=1000, programs=4),
        overseer=watch,
    )
    tally = await Batch(plan, RecordedEngine(samples), StillClock(), tmp_path).run()
    assert tally.alarm is not None
    assert (tally.alarm.reason, tally.alarm.most) == ("answers changed", 0.2)
    assert tally.summary()["shadow_accuracy_lost"] is None


def test_an_alarm_of_an_earlier_part_keeps_the_policy_of_those_that_ran() -> None:
    watch = watch_of()
    watch.recall(Alarmed(reason=LOSS, mean=1.0, most=0.1, programs=5, shadows=5, running=("p1",)))
    start = Progress(0, CAP)
    grants: Callable[[str], int] = lambda id: allocator_of(watch, id).grant(start).knob  # noqa: E731
    assert [grants("p1"), grants("p2")] == [2, CAP]


def allocator_of(watch: DriftWatch, id: str) -> InRounds:
    allocator = watch.allocator(SelfConsistency(Problem(id, "?", None), SETUP))
    assert isinstance(allocator, InRounds)
    return allocator


def test_after_an_alarm_nobody_waits_for_a_program_that_is_let_down() -> None:
    watch = watch_of()
    watch.recall(Alarmed(reason=LOSS, mean=1.0, most=0.1, programs=5, shadows=5, running=()))
    assert list(watch.come_to("p1")) == []
    watch.stalled("p1")
    assert list(watch.come_to("p2")) == []
