"""Where blocks of the cache are short: who is preempted, and whose prompt is still there (vLLM's own scheduler).

It runs in the interpreter of vLLM, and counts engine steps, preemptions and tokens.
"""

from collections.abc import Iterator
from pathlib import Path

from dynasor.bench.plugin_engine import Engine, EngineOptions, make_engine, prompt, total
from dynasor.bench.plugin_rows import Pressed
from dynasor.inside.tags import Tags
from dynasor.vllm_plugin.settings import Settings

LONG, SHORT = ("long-0", "long-1", "long-2"), ("short-0", "short-1")
_TOKENS = {"long": 200, "short": 90}
_BEFORE_SHORT = 40  # steps
_STARVED, _STREAM_TOKENS, _EVERY, _STREAM_STEPS, _STARVED_AT = "starved", 48, 10, 3000, 200


def victims(model: Path) -> Iterator[Pressed]:
    """Three long programs and two short ones that have not room together; a short one is not to be preempted for them.

    The short ones arrive last: so they are those that vLLM by itself preempts first.
    """
    arms = {
        "fcfs": EngineOptions(blocks=30),
        "priority by estimate": EngineOptions(blocks=30, policy="priority"),
        "sjf, vLLM's victims": EngineOptions(blocks=30, settings=Settings(ordering="sjf", orders_victims=False)),
        "sjf": EngineOptions(blocks=30, settings=Settings(ordering="sjf")),
        "gang+sjf": EngineOptions(blocks=30, settings=Settings(ordering="gang+sjf")),
    }
    for arm, options in arms.items():
        engine = make_engine(options, model)
        for id in (*LONG, *SHORT):
            if id == SHORT[0]:
                for _ in range(_BEFORE_SHORT):
                    engine.step()
            tokens = _TOKENS[id.partition("-")[0]]
            tags = Tags(program=id, remaining_tokens=tokens, is_last=True)
            engine.submit(id, prompt(int(id[-1]), len(id), 16), tokens, tags=tags, priority=tokens)
        preempted = _count_preemptions(engine, SHORT)
        engine.run()
        yield Pressed(
            "victims",
            arm,
            {
                "short programs preempted": preempted[0],
                "last short program ends": total(engine, SHORT),
                "last program ends": total(engine, LONG + SHORT),
                "tokens computed": engine.computed_tokens,
            },
        )


def _count_preemptions(engine: Engine, ids: tuple[str, ...]) -> list[int]:
    """A cell that counts, from now on, how often some requests are preempted."""
    cell, preempt = [0], engine.scheduler._preempt_request  # noqa: SLF001 - vLLM's

    def counted(request: object, *args: object, **kwargs: object) -> None:
        cell[0] += getattr(request, "request_id", "") in ids
        preempt(request, *args, **kwargs)

    engine.scheduler._preempt_request = counted  # noqa: SLF001
    return cell


def cache(model: Path) -> Iterator[Pressed]:
    """A program asks twice with one long prompt; between, others that have ended leave more behind than there is room.

    One request of it runs meanwhile with another prompt: so it is live, while those whose blocks are newer are not.
    """
    for arm, options in {
        "fcfs": EngineOptions(blocks=64),
        "priority by estimate": EngineOptions(blocks=64, policy="priority"),
        "without sparing": EngineOptions(blocks=64, settings=Settings(spares_blocks=False)),
        "dynasor": EngineOptions(blocks=64, settings=Settings(grace_s=0.0)),
    }.items():
        engine = make_engine(options, model)
        live = Tags(program="live")
        engine.submit("first", prompt(0, 0, 480), 2, tags=live)
        engine.run()
        engine.submit("beside", prompt(1, 1, 16), 60, tags=live)
        for other in range(2, 6):
            engine.submit(f"other-{other}", prompt(other, 0, 200), 2, tags=Tags(program=f"other-{other}", is_last=True))
            for _ in range(4):
                engine.step()
        engine.submit("second", prompt(0, 0, 480), 2, tags=live)
        engine.run()
        counters = getattr(getattr(engine.scheduler, "ranking", None), "counters", None)
        spared = counters.blocks_spared if counters else 0
        yield Pressed("cache", arm, {"prompt tokens found": engine.cached_tokens["second"], "blocks spared": spared})


def aging(model: Path) -> Iterator[Pressed]:
    """A program of 1,600 tokens in 8 branches against a stream of short ones, more than there are places for."""
    for arm, ordering in {
        "gang and estimates": "gang+sjf",
        "and aging, patience 8": "aging:patience=8,tokens_per_s=8+gang+sjf",
        "and aging, patience 4": "aging:patience=4,tokens_per_s=8+gang+sjf",
        "and aging, patience 2": "aging:patience=2,tokens_per_s=8+gang+sjf",
    }.items():
        engine = make_engine(EngineOptions(settings=Settings(ordering=ordering)), model)
        arrived = _stream(engine)
        ended = [engine.finished_at[id] - at for id, at in arrived.items()]
        starved = [engine.finished_at[f"{_STARVED}-{branch}"] for branch in range(8)]
        yield Pressed(
            "aging", arm, {"long program ends": max(starved), "mean of the short ones": sum(ended) / len(ended)}
        )


def _stream(engine: Engine) -> dict[str, int]:
    """Play it to its end; returns the short requests with the steps at which they arrived."""
    arrived: dict[str, int] = {}
    while engine.is_busy or engine.clock.steps < _STREAM_STEPS:
        step = engine.clock.steps
        if step < _STREAM_STEPS and step % _EVERY == 0:
            for branch in range(2):
                id = f"short-{step}-{branch}"
                arrived[id] = step
                tags = Tags(program=f"short-{step}", remaining_tokens=2 * _STREAM_TOKENS, is_last=True)
                engine.submit(id, prompt(step, branch, 16), _STREAM_TOKENS, tags=tags)
        if step == _STARVED_AT:
            for branch in range(8):
                tags = Tags(program=_STARVED, remaining_tokens=1600, is_last=True)
                engine.submit(f"{_STARVED}-{branch}", prompt(9999, branch, 16), 200, tags=tags)
        engine.step()
    return arrived


def pressed(model: Path) -> list[Pressed]:
    """All three."""
    return [*victims(model), *cache(model), *aging(model)]
