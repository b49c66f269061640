"""What scheduling costs by itself: seconds of vLLM's scheduler for each engine step, with and without the plug-in.

It runs in the interpreter of vLLM. The schedulers that are compared take their steps in turns, so that whatever else
the machine does falls on all of them.
"""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from statistics import median, quantiles

from dynasor.bench.plugin_engine import Engine, EngineOptions, make_engine, prompt
from dynasor.bench.plugin_rows import Cost
from dynasor.clock import WallClock
from dynasor.vllm_plugin.settings import Settings
from dynasor.vllm_plugin.tags import Tags

WAITING = (10, 1_000, 100_000)
SLOTS, STEPS, _BRANCHES = 64, 400, 8
_WARM_UP = 20

OPTIONS = {
    "fcfs": EngineOptions(slots=SLOTS, blocks=8192),
    "priority by estimate": EngineOptions(slots=SLOTS, blocks=8192, policy="priority"),
    "dynasor": EngineOptions(slots=SLOTS, blocks=8192, settings=Settings()),
}


def cost(waiting: int, model: Path) -> list[Cost]:
    """Measure all arms with so many waiting; as requests end, as many arrive."""
    clock = WallClock()
    engines = {arm: make_engine(options, model) for arm, options in OPTIONS.items()}
    adds = {arm: _fill(engine, waiting + SLOTS, clock) for arm, engine in engines.items()}
    times: dict[str, list[float]] = {arm: [] for arm in engines}
    made = waiting + SLOTS
    for _ in range(STEPS + _WARM_UP):
        for arm, engine in engines.items():
            began = clock.now()
            ended = engine.step()
            times[arm].append(1e6 * (clock.now() - began))
            for more in range(len(ended)):
                _submit(engine, made + more)
        made += SLOTS
    return [_summed(arm, waiting, steps[_WARM_UP:], adds[arm]) for arm, steps in times.items()]


def costs(model: Path, sizes: tuple[int, ...] = WAITING) -> Iterator[Cost]:
    """All sizes."""
    for waiting in sizes:
        yield from cost(waiting, model)


def _summed(arm: str, waiting: int, steps: list[float], add_us: float) -> Cost:
    return Cost(arm, waiting, median(steps), quantiles(steps, n=100)[98], sum(steps) / len(steps), add_us)


def _fill(engine: Engine, count: int, clock: WallClock) -> float:
    """Submit requests; returns microseconds for each, those of making it included."""
    began = clock.now()
    for index in range(count):
        _submit(engine, index)
    return 1e6 * (clock.now() - began) / count


def _submit(engine: Engine, index: int) -> None:
    program = index // _BRANCHES
    tokens = Random(index).randint(20, 200)
    left = 100.0 * (1 + Random(program).randint(1, _BRANCHES))
    tags = Tags(program=f"program-{program}", data_set=str(program % 4), remaining_tokens=left)
    engine.submit(f"{index}", prompt(program, index, 16), tokens, tags=tags, priority=int(left))
