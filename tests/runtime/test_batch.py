import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from dynasor.allocation.allocator import InFlight, InRounds
from dynasor.allocation.baselines import Even
from dynasor.allocation.decided import Decided
from dynasor.answers.grouping import ByText
from dynasor.datasets.problem import Problem
from dynasor.engines.recorded import RecordedEngine
from dynasor.errors import EngineError, SettingsDiffer, UsageError
from dynasor.journal.journal import read_journal
from dynasor.journal.records import Landed, ProgramFinished, RunStarted
from dynasor.programs.program import Setup
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.programs.session import Session
from dynasor.request import Completion, Finish, Request
from dynasor.runtime.in_flight import Limits
from dynasor.runtime.outputs import write_outputs
from support.batches import Counting, batch_of, plan_of, samples_of


async def test_every_problem_is_answered_once_and_everything_is_journaled(tmp_path: Path) -> None:
    tally = await batch_of(tmp_path).run()
    assert (tally.finished, tally.tokens.mean, tally.judged.mean) == (10, 75.0, 1.0)
    records = list(read_journal(tmp_path / "journal.jsonl"))
    assert isinstance(records[0], RunStarted)
    assert sum(isinstance(record, Landed) for record in records) == 60
    finished = [record for record in records if isinstance(record, ProgramFinished)]
    assert sorted(record.program for record in finished) == sorted(f"p{k}" for k in range(10))
    assert all(record.even_tokens == 75.0 and not record.even_recorded for record in finished)


async def test_a_finished_run_asks_nothing_more(tmp_path: Path) -> None:
    await batch_of(tmp_path).run()
    before = (tmp_path / "journal.jsonl").read_bytes()
    engine = Counting(RecordedEngine(samples_of(10)))
    batch = batch_of(tmp_path, engine=engine)
    assert (await batch.run()).finished == 10
    assert batch.resumed_count == 10
    assert batch.complete
    assert engine.submitted == []
    assert (tmp_path / "journal.jsonl").read_bytes() == before


@pytest.mark.parametrize("kept_bytes", range(150, 11_000, 771))
async def test_a_run_cut_anywhere_goes_on_without_asking_twice(tmp_path: Path, kept_bytes: int) -> None:
    whole, part = tmp_path / "whole", tmp_path / "part"
    reference = await batch_of(whole, allocator=None).run()
    journal = (whole / "journal.jsonl").read_bytes()
    part.mkdir()
    (part / "journal.jsonl").write_bytes(journal[:kept_bytes])
    known = {r.completion.id for r in read_journal(part / "journal.jsonl") if isinstance(r, Landed)}
    engine = Counting(RecordedEngine(samples_of(10)))
    tally = await batch_of(part, engine=engine).run()
    assert known.isdisjoint(engine.submitted)
    assert len(known) + len(engine.submitted) == 60
    assert tally.summary() == reference.summary()


async def test_other_settings_are_refused_and_named(tmp_path: Path) -> None:
    await batch_of(tmp_path).run()
    other = batch_of(tmp_path, cap=5)
    with pytest.raises(SettingsDiffer, match=r"cap was 6 and is now 5\. Resume with the old"):
        await other.run()
    assert not other.began


async def test_a_file_that_is_not_a_run_is_refused(tmp_path: Path) -> None:
    await batch_of(tmp_path).run()
    lines = (tmp_path / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "journal.jsonl").write_bytes(b"".join(lines[1:]))
    with pytest.raises(UsageError, match="does not begin with the settings"):
        await batch_of(tmp_path).run()


@pytest.mark.parametrize("notes", ["my own precious notes", "my own\nprecious notes\n"])
async def test_a_file_of_somebody_elses_is_left_alone(tmp_path: Path, notes: str) -> None:
    (tmp_path / "journal.jsonl").write_text(notes)
    with pytest.raises(UsageError, match=r"is not the journal of a run|not a journal record"):
        await batch_of(tmp_path).run()
    assert (tmp_path / "journal.jsonl").read_text() == notes


async def test_a_directory_that_cannot_be_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for directory in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UsageError, match=r"cannot keep a run in .*; choose another --out"):
            await batch_of(directory).run()


async def test_a_second_start_over_the_same_directory_finds_what_the_first_has_done(tmp_path: Path) -> None:
    first, second = batch_of(tmp_path), batch_of(tmp_path)
    await first.run()
    tally = await second.run()
    assert tally.finished == second.resumed_count == 10
    assert sum(isinstance(record, RunStarted) for record in read_journal(tmp_path / "journal.jsonl")) == 1


class Refusing(RecordedEngine):
    """Refuses the listed requests for good."""

    def __init__(self, count: int, refused: set[tuple[str, int]]) -> None:
        super().__init__(samples_of(count))
        self.refused = refused

    def submit(self, request: Request) -> None:
        if request.id in self.refused:
            self._ended.append(Completion(id=request.id, finish=Finish.FAILED, error="400 too long"))
        else:
            super().submit(request)


async def test_a_program_all_of_whose_branches_were_refused_is_not_an_answer(tmp_path: Path) -> None:
    batch = batch_of(tmp_path, engine=Refusing(10, {("p3", index) for index in range(6)}))
    tally = await batch.run()
    assert (tally.finished, batch.stalled, batch.complete) == (9, {"p3": "400 too long"}, False)
    engine = Counting(RecordedEngine(samples_of(10)))
    again = batch_of(tmp_path, engine=engine)
    assert (await again.run()).finished == 10
    assert again.complete
    assert sorted(engine.submitted) == [("p3", index) for index in range(6)], "what failed is tried again"


async def test_a_server_that_refuses_everything_ends_the_run(tmp_path: Path) -> None:
    engine = Refusing(30, {(f"p{k}", index) for k in range(30) for index in range(6)})
    with pytest.raises(EngineError, match="programs failed in a row, the last with: 400 too long"):
        await batch_of(tmp_path, count=30, engine=engine).run()


async def test_even_saves_nothing_where_branches_failed(tmp_path: Path) -> None:
    tally = await batch_of(tmp_path, engine=Refusing(10, {("p3", 1), ("p4", 2)})).run()
    assert tally.failed_count == 2
    assert tally.saving.estimate().value == pytest.approx(0.0)


class Uncounted(RecordedEngine):
    """A server that does not tell how many tokens it generated."""

    async def ready(self) -> list[Completion]:
        return [replace(completion, tokens=None) for completion in self.take()]


async def test_branches_of_unknown_tokens_are_told_of(tmp_path: Path) -> None:
    tally = await batch_of(tmp_path, count=2, engine=Uncounted(samples_of(2))).run()
    assert tally.summary()["branches_of_unknown_tokens"] == 12
    assert tally.tokens.mean == 0.0


class Fragile(SelfConsistency):
    """Fails on one problem, as programs of users do."""

    def land(self, completion: Completion) -> None:
        super().land(completion)
        if self.id == "p2":
            raise ZeroDivisionError


async def test_what_was_paid_for_is_kept_when_a_program_fails(tmp_path: Path) -> None:
    def session(problem: Problem) -> Session:
        return Session(Fragile(problem, Setup(cap=6, grouping=ByText)), InRounds(Even()))

    answered: list[Completion] = []

    class Listening(RecordedEngine):
        async def ready(self) -> list[Completion]:
            ended = self.take()
            answered.extend(ended)
            return ended

    with pytest.raises(ZeroDivisionError):
        await batch_of(tmp_path, engine=Listening(samples_of(10)), session=session).run()
    landed = [r.completion.id for r in read_journal(tmp_path / "journal.jsonl") if isinstance(r, Landed)]
    assert landed == [completion.id for completion in answered]


async def test_programs_are_admitted_as_places_become_free(tmp_path: Path) -> None:
    engine = Counting(RecordedEngine(samples_of(10)))
    await batch_of(tmp_path, engine=engine, limits=Limits(requests=7, programs=3)).run()
    assert engine.most_running == 7


async def test_an_interrupted_run_lands_what_is_in_flight_and_can_go_on(tmp_path: Path) -> None:
    engine = Counting(RecordedEngine(samples_of(10)))
    batch = batch_of(tmp_path, engine=engine, limits=Limits(requests=8, programs=3))
    batch.observe = batch.interrupt
    tally = await batch.run()
    assert batch.interrupted
    assert tally.finished < 10
    landed = [r.completion.id for r in read_journal(tmp_path / "journal.jsonl") if isinstance(r, Landed)]
    assert sorted(landed) == sorted(engine.submitted), "whatever was started has landed"
    rest = Counting(RecordedEngine(samples_of(10)))
    assert (await batch_of(tmp_path, engine=rest).run()).finished == 10
    assert len(rest.submitted) == 60 - len(engine.submitted)


async def test_cut_branches_are_journaled_with_what_they_cost(tmp_path: Path) -> None:
    batch = batch_of(tmp_path, count=1, session=plan_of(1, InFlight(Decided())).session)
    tally = await batch.run()
    records = list(read_journal(tmp_path / "journal.jsonl"))
    cut = [r.completion for r in records if isinstance(r, Landed) and r.completion.finish is Finish.CANCELLED]
    (finished,) = (r for r in records if isinstance(r, ProgramFinished))
    assert finished.stopped_by == "decided"
    assert len(cut) == finished.cut_count == tally.cut_count > 0
    assert sum(completion.tokens or 0 for completion in cut) == finished.cut_tokens > 0


class Flaky(RecordedEngine):
    """Lets the listed problems down until it is mended."""

    def __init__(self, count: int, down: set[str]) -> None:
        super().__init__(samples_of(count))
        self.down = down

    def submit(self, request: Request) -> None:
        if request.id.program in self.down and request.id.index == 2:
            self._ended.append(Completion(id=request.id, finish=Finish.FAILED, error="503 busy", retryable=True))
        else:
            super().submit(request)


async def test_what_the_engine_lets_down_is_left_for_a_resume(tmp_path: Path) -> None:
    batch = batch_of(tmp_path, engine=Flaky(10, {"p3", "p4"}))
    tally = await batch.run()
    assert tally.finished == 8
    assert batch.stalled == {"p3": "503 busy", "p4": "503 busy"}
    engine = Counting(RecordedEngine(samples_of(10)))
    assert (await batch_of(tmp_path, engine=engine).run()).finished == 10
    assert sorted(engine.submitted) == [("p3", 2), ("p4", 2)], "the other branches had landed"


async def test_an_engine_that_is_gone_ends_the_run(tmp_path: Path) -> None:
    batch = batch_of(tmp_path, count=30, engine=Flaky(30, {f"p{k}" for k in range(30)}))
    with pytest.raises(EngineError, match="20 programs failed in a row, the last with: 503 busy"):
        await batch.run()
    landed = [r for r in read_journal(tmp_path / "journal.jsonl") if isinstance(r, Landed)]
    assert len(landed) > 20, "what landed before is kept"


async def test_outputs_are_folds_of_the_journal(tmp_path: Path) -> None:
    tally = await batch_of(tmp_path).run()
    write_outputs(tmp_path, tally)
    lines = (tmp_path / "answers.jsonl").read_text().splitlines()
    assert len(lines) == 10
    assert '"answer":"a"' in lines[0]
    assert '"problems": 10' in (tmp_path / "summary.json").read_text()
    assert {*os.listdir(tmp_path)} == {"answers.jsonl", "journal.jsonl", "summary.json"}  # noqa: PTH208
