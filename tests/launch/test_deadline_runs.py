"""Runs with deadlines, and pairs of options that mean nothing together."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from dynasor.allocation.allocator import Allocator, InRounds
from dynasor.allocation.overload import DEADLINE, Overload
from dynasor.engines.endpoint import Endpoint
from dynasor.errors import UsageError
from dynasor.journal.records import Setting
from dynasor.launch.launch import prepare
from dynasor.launch.options import RunOptions
from dynasor.launch.past import past_program
from dynasor.launch.reopen import reopened
from dynasor.launch.settings import directory_name
from dynasor.programs.program import Program, Setup
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.runtime.batch import Batch, BatchPlan
from dynasor.wiring import make_policy, session_of
from support.batches import StillClock
from support.past_runs import PROBLEMS, ScriptedEngine, branch

CAP, SERVER, ONLY_SO = 4, "http://127.0.0.1:9/v1", "it could not go on after a kill"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"ordering": "edf"}, "ordering edf goes by deadlines, and there is none; add --deadline"),
        ({"ordering": "aging+gang+slack:tokens_per_s=500"}, "ordering slack goes by deadlines"),
        ({"algorithm": "rebase", "reward": "builtin", "deadline_s": 5.0}, ONLY_SO),
        ({"algorithm": "mcts:parallel=2", "reward": "builtin", "deadline_s": 5.0}, ONLY_SO),
        ({"algorithm": "probed-cot", "concurrency": "auto"}, "1 streams of a program need room"),
        (
            {"endpoint": Endpoint(SERVER, priority="vllm"), "concurrency": "auto"},
            "with --priority nothing is held back",
        ),
    ],
)
async def test_what_means_nothing_together_is_refused(changes: dict[str, Any], told: str, tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text('{"question": "1 + 1?", "answer": "2"}\n')
    options: dict[str, Any] = {"problems": tmp_path / "q.jsonl", "endpoint": SERVER}
    with pytest.raises(UsageError, match=told):
        await prepare(RunOptions(**(options | changes)))


def test_runs_with_other_deadlines_have_other_directories() -> None:
    names = {directory_name("q.jsonl", "even", RunOptions(deadline_s=s)) for s in (None, 5.0, 60.0)}
    assert len(names) == 3


def test_a_program_that_a_deadline_has_ended_can_be_looked_into(tmp_path: Path) -> None:
    policy, canonical = make_policy("stepped:threshold=1.0,detect_at=3,step=1")
    overload = Overload(tokens_per_s=0.1)

    def due(program: Program) -> Allocator:
        return overload.due(program.id, 10.0, InRounds(policy))

    settings: dict[str, Setting] = {"algorithm": "sc", "policy": canonical, "cap": CAP, "deadline_s": 10.0}
    plan = BatchPlan(PROBLEMS, session_of(SelfConsistency, Setup(cap=CAP), due), settings, CAP)
    asyncio.run(Batch(plan, ScriptedEngine(branch), StillClock(), tmp_path).run())
    past = past_program(tmp_path, "q")
    assert past.finished is not None
    assert (past.finished.stopped_by, past.finished.knob) == (DEADLINE, 3)
    again = asyncio.run(reopened(past))
    assert again.session is not None
    assert again.notes == []
