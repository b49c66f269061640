"""What scheduling costs by itself: the processor's time for an engine step, with the plug-in and without.

It runs in the interpreter of vLLM. The schedulers that are compared take turns of some steps, so that whatever else the
machine does falls on all of them; time in which another process had the core does not count. The first steps of a turn
do not count either: the interpreter has fitted vLLM's code to the class that ran it last, and fits it anew.
"""

import gc
from collections.abc import Iterator
from pathlib import Path
from random import Random
from statistics import fmean, median, quantiles

from dynasor.bench.plugin_engine import Engine, EngineOptions, make_engine, prompt
from dynasor.bench.plugin_rows import Cost
from dynasor.bench.process_time import thread_cpu_s
from dynasor.clock import WallClock
from dynasor.inside.tags import Tags
from dynasor.metrics.intervals import RunningMean
from dynasor.vllm_plugin.settings import Settings

WAITING = (10, 1_000, 100_000)
SLOTS, TURNS, TURN, _BRANCHES = 64, 40, 20, 8
_FITTED = 4  # steps of a turn, which do not count
_WARM_UP = 1  # turns

STOCK = "fcfs"
OPTIONS = {
    STOCK: EngineOptions(slots=SLOTS, blocks=8192),
    "priority by estimate": EngineOptions(slots=SLOTS, blocks=8192, policy="priority"),
    "dynasor": EngineOptions(slots=SLOTS, blocks=8192, settings=Settings()),
}


def cost(waiting: int, model: Path) -> list[Cost]:
    """Measure all arms with so many waiting; as requests end, as many arrive."""
    clock = WallClock()
    engines = {arm: make_engine(options, model) for arm, options in OPTIONS.items()}
    gc.collect()
    gc.freeze()  # as vLLM does once it has started: else one step, of whatever arm, looks through all of its modules
    adds = {arm: _fill(engine, waiting + SLOTS, clock) for arm, engine in engines.items()}
    times: dict[str, list[list[float]]] = {arm: [] for arm in engines}
    made = waiting + SLOTS
    for turn in range(_WARM_UP + TURNS):
        for arm in [*engines] if turn % 2 == 0 else reversed([*engines]):
            times[arm].append(_turn(engines[arm], made))
        made += SLOTS * TURN
    stock = times[STOCK][_WARM_UP:]
    return [_summed(arm, waiting, turns[_WARM_UP:], stock, adds[arm]) for arm, turns in times.items()]


def costs(model: Path, sizes: tuple[int, ...] = WAITING) -> Iterator[Cost]:
    """All sizes."""
    for waiting in sizes:
        yield from cost(waiting, model)


def _turn(engine: Engine, made: int) -> list[float]:
    """Microseconds of each step of a turn that counts; as many requests arrive as end."""
    times: list[float] = []
    for place in range(TURN):
        began = thread_cpu_s()
        ended = engine.step()
        times.append(1e6 * (thread_cpu_s() - began))
        for more in range(len(ended)):
            _submit(engine, made + SLOTS * place + more)
    return times[_FITTED:]


def _summed(arm: str, waiting: int, turns: list[list[float]], stock: list[list[float]], add_us: float) -> Cost:
    over = RunningMean()
    for own, other in zip(turns, stock, strict=True):
        over.add(fmean(own) - fmean(other))
    found, steps = over.estimate(), [step for turn in turns for step in turn]
    last = quantiles(steps, n=100)[98]
    return Cost(arm, waiting, median(steps), last, sum(steps) / len(steps), add_us, found.value, found.low, found.high)


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
