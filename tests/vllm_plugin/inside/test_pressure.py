"""Preemption, eviction and aging in vLLM's own scheduler classes, in exact figures."""

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("vllm.config")  # tests/vllm is not what is asked for

from dynasor.bench.plugin_engine import Engine, prompt
from dynasor.bench.plugin_pressure import _count_preemptions, aging, cache, victims
from dynasor.inside.tags import Tags

Made = Callable[..., Engine]


def test_the_last_program_is_preempted_and_not_the_last_arrival(model: Path) -> None:
    short, ends = "short programs preempted", "last short program ends"
    figures = {row.arm: (row.figures[short], row.figures[ends]) for row in victims(model)}
    assert figures == {
        "fcfs": (6, 219),
        "priority by estimate": (0, 130),
        "sjf, vLLM's victims": (6, 219),
        "sjf": (0, 130),
        "gang+sjf": (6, 219),  # they started last
    }


@pytest.mark.parametrize(("orders_victims", "is_spared"), [(True, True), (False, False)])
def test_a_later_branch_of_a_begun_program_is_not_the_first_to_go(
    engine: Made, orders_victims: bool, is_spared: bool
) -> None:
    made = engine(blocks=30, orders_victims=orders_victims)
    for name in ("a", "b", "c"):
        made.submit(name, prompt(ord(name), 0, 16), 200, tags=Tags(program=name))
    for _ in range(40):
        made.step()
    made.submit("a again", prompt(ord("a"), 1, 16), 90, tags=Tags(program="a"))
    preempted = _count_preemptions(made, ("a again",))
    made.run()
    assert made.scheduler.ranking.counters.victims > 0
    assert (preempted[0] == 0) == is_spared


def test_the_prompt_of_a_live_program_outlasts_what_others_left(model: Path) -> None:
    found = {row.arm: row.figures["prompt tokens found"] for row in cache(model)}
    assert found == {"fcfs": 192, "priority by estimate": 192, "without sparing": 192, "dynasor": 464}


def test_a_long_program_does_not_starve(model: Path) -> None:
    ends = {row.arm: row.figures["long program ends"] for row in aging(model)}
    assert ends == {
        "gang and estimates": 3830,
        "and aging, patience 8": 2284,
        "and aging, patience 4": 1382,
        "and aging, patience 2": 930,
    }


def refilled(made: Engine, others: int) -> int:
    """Others use the whole cache; then the program asks again: how much of its prompt is found."""
    for other in range(others):
        made.submit(f"other-{other}", prompt(10 + other, 0, 200), 2, tags=Tags(program=f"other-{other}", is_last=True))
        made.run()
    made.submit("again", prompt(0, 0, 480), 2, tags=Tags(program="a"))
    made.run()
    return made.cached_tokens["again"]


@pytest.mark.parametrize(("grace_s", "found"), [(1e9, 464), (0.0, 0)])
def test_grace_keeps_the_prompt_of_a_program_between_its_rounds(engine: Made, grace_s: float, found: int) -> None:
    made = engine(blocks=64, grace_s=grace_s)
    made.submit("first", prompt(0, 0, 480), 2, tags=Tags(program="a"))
    made.run()
    assert refilled(made, 8) == found


def test_a_program_that_has_ended_gives_its_blocks_up(engine: Made) -> None:
    made = engine(blocks=64, grace_s=1e9)
    made.submit("first", prompt(0, 0, 480), 2, tags=Tags(program="a", is_last=True))
    made.run()
    assert refilled(made, 8) == 0


def test_nothing_is_pinned(engine: Made) -> None:
    made = engine(blocks=64, grace_s=1e9)
    for program in range(12):
        made.submit(f"{program}", prompt(program, 0, 400), 2, tags=Tags(program=f"{program}"))
        made.run()
    assert len(made.finished_at) == 12, "blocks of live programs are taken where there are no others"
    pool = made.scheduler.kv_cache_manager.block_pool
    free = [block.block_id for block in pool.free_block_queue.get_all_free_blocks()]
    assert len(free) == len(set(free)) == pool.get_num_free_blocks() == 63


@pytest.mark.parametrize("in_flight", [1, 2])
def test_preempted_requests_come_back_and_keep_their_program(engine: Made, in_flight: int) -> None:
    made = engine("gang", blocks=30, in_flight=in_flight)
    for name in ("a", "b", "c"):
        made.submit(name, prompt(ord(name), 0, 16), 200, tags=Tags(program=name))
    made.run()
    assert [*sorted(made.finished_at, key=lambda id: made.finished_at[id])] == ["a", "b", "c"]
    assert made.scheduler.ranking.counters.victims > 0


def test_without_a_prefix_cache_there_is_nothing_to_spare(engine: Made) -> None:
    made = engine(blocks=64, caching=False)
    for branch in range(4):
        made.submit(f"{branch}", prompt(0, 0, 400), 2, tags=Tags(program="a"))
    made.run()
    assert made.scheduler.ranking.counters.blocks_spared == 0
