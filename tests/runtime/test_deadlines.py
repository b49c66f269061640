"""Programs with deadlines before an engine that is too slow for all of them, in virtual time."""

import json
from pathlib import Path

from dynasor.allocation.allocator import Allocator, InRounds
from dynasor.allocation.overload import Overload
from dynasor.allocation.threshold import SteppedThreshold
from dynasor.answers.grouping import ByText
from dynasor.datasets.problem import Problem
from dynasor.programs.program import Setup
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.programs.session import Session
from dynasor.request import ProgramId
from dynasor.runtime.batch import Batch, BatchPlan
from dynasor.runtime.in_flight import Limits
from dynasor.runtime.outputs import write_outputs
from dynasor.scheduling.specification import make_scheduler
from support.batches import problems_of
from support.scripted import ScriptedEngine

CAP, TOKENS = 20, 5


async def lines_of(
    directory: Path, count: int, within_s: float, *, shrinks: bool
) -> tuple[list[dict[str, object]], list[float]]:
    """Programs that never agree want 20 branches of 5 s each; four run at a time. Gives answers and latencies."""
    engine, overload = ScriptedEngine(lambda request: TOKENS), Overload()

    def session(problem: Problem) -> Session:
        rounds: Allocator = InRounds(SteppedThreshold(1.0, 2, 2))
        allocator = overload.due(ProgramId(problem.id), within_s, rounds) if shrinks else rounds
        setup = Setup(cap=CAP, grouping=ByText, extract=lambda text: None)
        return Session(SelfConsistency(problem, setup), allocator)

    plan = BatchPlan(
        problems=problems_of(count),
        session=session,
        settings={},
        cap=CAP,
        limits=Limits(requests=4, programs=99),
        scheduler=lambda: make_scheduler("edf")[0],
        deadline_s=within_s,
        overload=overload if shrinks else None,
    )
    batch = Batch(plan, engine, engine, directory)
    write_outputs(directory, await batch.run())
    lines = [json.loads(line) for line in (directory / "answers.jsonl").read_text().splitlines()]
    journal = [json.loads(line) for line in (directory / "journal.jsonl").read_text().splitlines()]
    return lines, [record["latency_s"] for record in journal if record["kind"] == "finished"]


async def test_under_overload_grants_shrink_instead_of_deadlines_being_missed(tmp_path: Path) -> None:
    unshrunk, late = await lines_of(tmp_path / "unshrunk", 8, 40.0, shrinks=False)
    assert {line["knob"] for line in unshrunk} == {CAP}
    assert max(late) > 40.0
    shrunk, in_time = await lines_of(tmp_path / "shrunk", 8, 40.0, shrinks=True)
    assert len(shrunk) == 8
    assert max(in_time) <= 40.0
    given_less = [line for line in shrunk if line["stopped_by"] == "deadline"]
    assert given_less
    assert all(1 <= int(str(line["knob"])) < CAP for line in given_less)


async def test_with_time_enough_nothing_changes(tmp_path: Path) -> None:
    shrunk, _ = await lines_of(tmp_path / "shrunk", 8, 90.0, shrinks=True)
    unshrunk, _ = await lines_of(tmp_path / "unshrunk", 8, 90.0, shrinks=False)
    assert shrunk == unshrunk
