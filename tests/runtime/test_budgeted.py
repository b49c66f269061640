"""A token budget over real batches, whole and killed."""

from pathlib import Path
from random import Random

import msgspec
import pytest

from dynasor.allocation.budget import BUDGET_SPENT, TokenBudget
from dynasor.answers.grouping import ByText
from dynasor.datasets.problem import Problem
from dynasor.engines.recorded import RecordedEngine
from dynasor.errors import EngineError
from dynasor.journal.journal import JOURNAL, read_journal
from dynasor.journal.records import Landed, ProgramFinished
from dynasor.programs.program import Setup
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.request import Completion, Finish, Request, Sample
from dynasor.runtime.batch import Batch, BatchPlan
from dynasor.runtime.budgeted import Budgeted
from dynasor.runtime.in_flight import Limits
from dynasor.wiring import session_of
from support.batches import Counting, StillClock

CAP, COUNT, BUDGET, PROGRAMS = 8, 24, 1200, 4
LONGEST = 20


def samples_of(count: int = COUNT) -> dict[str, tuple[Sample, ...]]:
    random = Random(7)
    return {
        f"p{n}": tuple(Sample(random.choice("aab" if n % 2 else "aaa"), random.randint(5, LONGEST)) for _ in range(CAP))
        for n in range(count)
    }


def batch_of(directory: Path, engine: RecordedEngine | Counting | None = None, tokens: int = BUDGET) -> Batch:
    budgeted = Budgeted(TokenBudget(tokens, COUNT))
    plan = BatchPlan(
        problems=[Problem(f"p{n}", "?", "a") for n in range(COUNT)],
        session=session_of(SelfConsistency, Setup(cap=CAP, grouping=ByText), budgeted.allocator),
        settings={"token_budget": tokens},
        cap=CAP,
        limits=Limits(requests=1000, programs=PROGRAMS),
        overseer=budgeted,
    )
    return Batch(plan, engine or RecordedEngine(samples_of()), StillClock(), directory)


def landed(directory: Path) -> list[Completion]:
    records = read_journal(directory / JOURNAL)
    return [record.completion for record in records if isinstance(record, Landed)]


def spent(directory: Path) -> int:
    return sum(completion.tokens or 0 for completion in landed(directory))


async def test_a_batch_spends_its_budget_and_at_most_a_branch_a_program_more(tmp_path: Path) -> None:
    tally = await batch_of(tmp_path).run()
    assert tally.finished == COUNT
    assert tally.stops[BUDGET_SPENT] > 0
    assert 0.9 * BUDGET < spent(tmp_path) <= BUDGET + PROGRAMS * LONGEST
    assert tally.saving.spent == spent(tmp_path)
    again = await batch_of(tmp_path / "again").run()
    assert again.summary() == tally.summary(), "it is deterministic"


async def test_a_program_that_got_nothing_says_so(tmp_path: Path) -> None:
    await batch_of(tmp_path, tokens=COUNT).run()
    finished = [record for record in read_journal(tmp_path / JOURNAL) if isinstance(record, ProgramFinished)]
    starved = [record for record in finished if not record.knob]
    assert len(finished) == COUNT
    assert len(starved) > COUNT / 2
    assert {(record.answer, record.stopped_by, record.tokens) for record in starved} == {(None, "budget", 0)}


@pytest.mark.parametrize("kept_bytes", range(250, 20_000, 1999))
async def test_a_run_cut_anywhere_does_not_get_a_fresh_budget(tmp_path: Path, kept_bytes: int) -> None:
    whole, part = tmp_path / "whole", tmp_path / "part"
    await batch_of(whole).run()
    part.mkdir()
    (part / JOURNAL).write_bytes((whole / JOURNAL).read_bytes()[:kept_bytes])
    known = {completion.id for completion in landed(part)}
    engine = Counting(RecordedEngine(samples_of()))
    tally = await batch_of(part, engine).run()
    assert known.isdisjoint(engine.submitted), "nothing is paid for twice"
    assert tally.finished == COUNT
    assert 0.9 * BUDGET < spent(part) <= BUDGET + PROGRAMS * LONGEST
    assert tally.saving.spent == spent(part), "what landed before is in the answers"


async def test_resuming_again_and_again_does_not_stretch_the_budget(tmp_path: Path) -> None:
    for _ in range(100):
        batch = batch_of(tmp_path)
        batch.observe = batch.interrupt
        if (await batch.run()).finished == COUNT:
            break
    assert batch.tally.finished == COUNT
    assert spent(tmp_path) <= BUDGET + PROGRAMS * LONGEST


class Failing(RecordedEngine):
    """Lets a branch of one problem down."""

    def submit(self, request: Request) -> None:
        if request.id.program == "p1" and request.id.index == 1:
            self._ended.append(Completion(id=request.id, finish=Finish.FAILED, error="503", retryable=True))
        else:
            super().submit(request)


async def test_what_a_program_had_spent_that_was_let_down_is_spent(tmp_path: Path) -> None:
    batch = batch_of(tmp_path, Failing(samples_of()))
    assert (await batch.run()).finished == COUNT - 1
    assert set(batch.stalled) == {"p1"}
    before = spent(tmp_path)
    assert before <= BUDGET + PROGRAMS * LONGEST
    assert (await batch_of(tmp_path).run()).finished == COUNT
    assert spent(tmp_path) <= max(before, BUDGET) + LONGEST


class Uncounted(RecordedEngine):
    """A server that does not tell how many tokens it generated."""

    async def ready(self) -> list[Completion]:
        return [msgspec.structs.replace(completion, tokens=None) for completion in self.take()]


async def test_a_server_that_does_not_count_cannot_keep_a_budget(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="does not tell how many tokens it generated, so no budget can be kept"):
        await batch_of(tmp_path, Uncounted(samples_of())).run()
