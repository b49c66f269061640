import os
from pathlib import Path

import pytest

from dynasor.allocation.allocator import InFlight
from dynasor.allocation.decided import Decided
from dynasor.engines.recorded import RecordedEngine
from dynasor.errors import EngineError, SettingsDiffer, UsageError
from dynasor.journal.journal import read_journal
from dynasor.journal.records import Landed, ProgramFinished, RunStarted
from dynasor.request import Completion, Finish, Request
from dynasor.runtime.dispatcher import Limits
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
    assert batch.resumed_count == 10
    assert (await batch.run()).finished == 10
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
    with pytest.raises(SettingsDiffer, match=r"cap was 6 and is now 5\. Resume with the old"):
        batch_of(tmp_path, cap=5)


async def test_a_file_that_is_not_a_run_is_refused(tmp_path: Path) -> None:
    await batch_of(tmp_path).run()
    lines = (tmp_path / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "journal.jsonl").write_bytes(b"".join(lines[1:]))
    with pytest.raises(UsageError, match="does not begin with the settings"):
        batch_of(tmp_path)


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
