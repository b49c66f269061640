"""Whole runs: nothing is lost, the same comes out again, and long stretches change nothing."""

from collections.abc import Collection
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynasor.request import Finish, RequestId
from dynasor.simulation.accelerator import Accelerator
from dynasor.simulation.arrivals import poisson
from dynasor.simulation.kernel import picoseconds
from dynasor.simulation.kv_cache import KvCache
from dynasor.simulation.limits import Limits
from dynasor.simulation.replica import Replica
from dynasor.simulation.requests import Served, SimulatedRequest
from support.simulated import LINE, Run, asked

STRETCHES = (1, 3, 1 << 30)


class Shortest:
    """The fewest output tokens first; those of 100 and more are held back."""

    def __init__(self) -> None:
        self.waiting: dict[RequestId, SimulatedRequest] = {}
        self.admitted: dict[RequestId, SimulatedRequest] = {}

    def add(self, request: SimulatedRequest, now_s: float) -> None:
        self.waiting[request.id] = request

    def next(self, now_s: float) -> RequestId | None:
        few = [request for request in self.waiting.values() if request.output_tokens < 100]
        return min(few, key=lambda request: request.output_tokens).id if few else None

    def start(self, id: RequestId, now_s: float) -> None:
        self.admitted[id] = self.waiting.pop(id)

    def put_back(self, id: RequestId, now_s: float) -> None:
        self.waiting[id] = self.admitted.pop(id)

    def finish(self, id: RequestId, tokens: int, now_s: float) -> None:
        assert tokens == self.admitted.pop(id).output_tokens

    def remove(self, id: RequestId, now_s: float) -> None:
        assert (self.waiting.pop(id, None) or self.admitted.pop(id, None)) is not None


def longest(running: Collection[SimulatedRequest], now_s: float) -> SimulatedRequest:
    return max(running, key=lambda request: request.output_tokens)


def whole(accelerator: Accelerator) -> None:
    """Every block is somewhere, once."""
    cache = accelerator.cache
    assert cache.free + cache.taken + cache.prefix_blocks == cache.capacity


def one_run(seed: int, blocks: int, stretch: int) -> tuple[list[Served], Accelerator]:
    """Requests of a few programs with shared prompts; one in ten is cut. Odd seeds: the shortest first, longest out."""
    rng, cache, limits = Random(f"{seed}/run"), KvCache(blocks, 4), Limits(6, 32, stretch)
    accelerator = (
        Accelerator(LINE, cache, limits, Shortest(), longest) if seed % 2 else Accelerator(LINE, cache, limits)
    )
    made = Run(accelerator)

    def on_end(served: Served) -> None:
        made.served.append(served)
        whole(accelerator)

    made.replica = Replica(made.kernel, accelerator, on_end)
    for number, instant in zip(range(40), poisson(100.0, seed), strict=False):
        prefix = rng.choice([None, "p", "q", "r"])
        request = asked(str(number), rng.randint(14, 60), rng.randint(1, 60), prefix, 13 if prefix else 0)
        made.submit_at(instant, request)
        if rng.random() < 0.1:
            made.cancel_at(instant + rng.random() * 0.1, request.id)
    return made.to_end(), accelerator


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1 << 30), blocks=st.integers(30, 100))
def test_nothing_is_lost_and_stretches_change_nothing(seed: int, blocks: int) -> None:
    runs = [one_run(seed, blocks, stretch) for stretch in STRETCHES]
    served, accelerator = runs[0]
    assert sorted(int(one.id.program) for one in served) == list(range(40))
    cache = accelerator.cache
    assert (cache.taken, cache.free + cache.idle) == (0, cache.capacity)
    assert cache.idle == cache.prefix_blocks
    assert accelerator.output_tokens == sum(one.tokens for one in served)
    assert accelerator.running_count == accelerator.waiting_count == 0
    first = totals(served, accelerator)
    assert all(totals(*other) == first for other in runs[1:])


def totals(served: list[Served], accelerator: Accelerator) -> bytes:
    cache = accelerator.cache
    return msgspec.json.encode(
        (
            served,
            accelerator.steps,
            accelerator.prompt_tokens,
            accelerator.output_tokens,
            accelerator.preemptions,
            cache.hit_tokens,
            cache.asked_tokens,
            cache.evicted_blocks,
        )
    )


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert totals(*one_run(3, 40, 1 << 30)) == totals(*one_run(3, 40, 1 << 30))
    assert totals(*one_run(3, 40, 1 << 30)) != totals(*one_run(4, 40, 1 << 30))


def test_the_runs_preempt_evict_hit_and_cut() -> None:
    """So that what is tested of them is not empty."""
    runs = [one_run(seed, 30, 1 << 30) for seed in range(5)]
    assert sum(accelerator.preemptions for _, accelerator in runs) > 5
    assert sum(accelerator.cache.evicted_blocks for _, accelerator in runs) > 5
    assert sum(accelerator.cache.hit_tokens for _, accelerator in runs) > 100
    assert any(one.finish is Finish.CANCELLED for served, _ in runs for one in served)


def test_a_host_that_answers_at_once_is_in_the_next_step() -> None:
    accelerator = Accelerator(LINE, KvCache(100, 4), Limits(4, 32))
    made = Run(accelerator)
    follow = [asked("b", 10, 2), asked("c", 10, 2)]

    def on_end(served: Served) -> None:
        made.served.append(served)
        if follow:
            made.replica.submit(follow.pop(0))

    made.replica = Replica(made.kernel, accelerator, on_end)
    made.submit_at(0, asked("a", 10, 2))
    served = made.to_end()
    assert [one.submitted_at for one in served[1:]] == [one.ended_at for one in served[:-1]]
    assert [one.admitted_at for one in served[1:]] == [one.ended_at for one in served[:-1]]


@pytest.mark.parametrize("stretch", STRETCHES)
def test_who_comes_as_a_step_starts_is_in_it(stretch: int) -> None:
    """Even if it is known only then that it comes: the first step takes 1.1 ms, the second 1.111 ms."""
    made = Run(Accelerator(LINE, KvCache(1000, 4), Limits(4, 16, stretch)))
    made.submit_at(0, asked("a", 10, 1000))
    instant = picoseconds(2.211e-3)

    def come(after: int) -> None:
        if after:
            made.kernel.at(instant, lambda: come(after - 1))
        else:
            made.replica.submit(asked("b", 10, 1))

    made.kernel.at(instant, lambda: come(after=3))
    assert made.to_end()[0].admitted_at == 2.211e-3


def test_an_ordering_decides_who_is_next() -> None:
    made = Run(Accelerator(LINE, KvCache(100, 4), Limits(1, 32), order=Shortest()))
    for name, output in (("a", 9), ("b", 5), ("c", 7), ("never", 100)):
        made.submit_at(0, asked(name, 10, output))
    assert [one.id.program for one in made.to_end()] == ["b", "c", "a"]
    assert made.accelerator.waiting_count == 1


@pytest.mark.parametrize("stretch", STRETCHES)
def test_who_comes_and_fits_does_not_wait_behind_who_does_not_fit(stretch: int) -> None:
    made = Run(Accelerator(LINE, KvCache(10, 4), Limits(4, 64, stretch), order=Shortest()))
    for instant, request in ((0, asked("a", 10, 10)), (2e-3, asked("large", 30, 9)), (5e-3, asked("b", 5, 2))):
        made.submit_at(instant, request)
    assert [one.id.program for one in made.to_end()] == ["b", "a", "large"]
