"""How soon programs end in each order, in engine steps: vLLM's own scheduler with and without the plug-in.

It runs in the interpreter of vLLM. Every program is there at the first step, its requests mixed with the others'.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from dynasor.bench.plugin_engine import Engine, EngineOptions, make_engine, prompt
from dynasor.bench.plugin_rows import Point
from dynasor.bench.plugin_workload import MadeProgram, arrivals, make_programs
from dynasor.inside.tags import Tags
from dynasor.vllm_plugin.settings import Settings

SEEDS = 10
ROUNDS = {"burst": 1, "rounds": 4}


class Arm(msgspec.Struct, frozen=True):
    """One way of scheduling.

    Attributes:
        ordering: of the plug-in; None for vLLM's own scheduler.
        priority: what clients send as priority: nothing, their program's number, or their estimate.
        estimates: whether clients send the tokens that they estimate.
    """

    name: str
    ordering: str | None = None
    priority: str = ""
    estimates: bool = False


ARMS = (
    Arm("fcfs"),
    Arm("priority by program", priority="program"),
    Arm("priority by estimate", priority="estimate"),
    Arm("gang", ordering="gang"),
    Arm("history at arrival", ordering="sjf-at-arrival"),
    Arm("history", ordering="gang+sjf"),
    Arm("estimates at arrival", ordering="sjf-at-arrival", estimates=True),
    Arm("estimates", ordering="gang+sjf", estimates=True),
    Arm("estimates, no gang", ordering="sjf", estimates=True),
    Arm("estimates and aging", ordering="aging:patience=4,tokens_per_s=8+gang+sjf", estimates=True),
)


class _Play:
    """Clients that submit the next round of a program when the one before has ended."""

    def __init__(self, engine: Engine, arm: Arm) -> None:
        self._engine, self._arm = engine, arm
        self._left: dict[int, set[str]] = {}
        self._round: dict[int, int] = {}
        self.ended: dict[int, int] = {}

    def submit(self, program: MadeProgram, turn: int, branch: int) -> None:
        id = f"{program.index}.{turn}.{branch}"
        self._left.setdefault(program.index, set()).add(id)
        self._round[program.index] = turn
        estimate = program.estimate(turn)
        tags = Tags(
            program=f"program-{program.index}",
            data_set=program.data_set,
            remaining_knob=program.branches_left(turn),
            remaining_tokens=estimate if self._arm.estimates else None,
            is_last=turn == len(program.rounds) - 1,
        )
        priority = {"program": program.index, "estimate": int(estimate)}.get(self._arm.priority, 0)
        self._engine.submit(
            id, prompt(program.index, branch), program.rounds[turn][branch], tags=tags, priority=priority
        )

    def step(self, programs: list[MadeProgram]) -> None:
        for id in self._engine.step():
            program = programs[int(id.partition(".")[0])]
            left = self._left[program.index]
            left.remove(id)
            if left:
                continue
            following = self._round[program.index] + 1
            if following == len(program.rounds):
                self.ended[program.index] = self._engine.clock.steps
                continue
            for branch in range(len(program.rounds[following])):
                self.submit(program, following, branch)


def play(workload: str, arm: Arm, in_flight: int, seed: int, model: Path) -> Point:
    """Run one arm on the programs of one seed."""
    programs = make_programs(seed, rounds=ROUNDS[workload])
    settings = Settings(ordering=arm.ordering, memory_s=1e9) if arm.ordering else None
    policy = "priority" if arm.priority else "fcfs"
    engine = make_engine(EngineOptions(settings=settings, policy=policy, in_flight=in_flight), model)
    player = _Play(engine, arm)
    for program, branch in arrivals(seed, programs):
        player.submit(program, 0, branch)
    while engine.is_busy:
        player.step(programs)
    counters = getattr(getattr(engine.scheduler, "ranking", None), "counters", None)
    return Point(
        workload=workload,
        arm=arm.name,
        in_flight=in_flight,
        seed=seed,
        mean_steps=sum(player.ended.values()) / len(programs),
        last_step=max(player.ended.values()),
        worst_ratio=max(player.ended[program.index] / program.tokens for program in programs),
        reorders=counters.reorders if counters else 0,
        aged=counters.aged if counters else 0,
    )


def points(model: Path, seeds: int = SEEDS) -> Iterator[Point]:
    """Every workload, number of batches in flight, arm and seed."""
    for workload in ROUNDS:
        for in_flight in (1, 2):
            for arm in ARMS:
                for seed in range(seeds):
                    yield play(workload, arm, in_flight, seed, model)
