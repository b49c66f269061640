from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynasor.errors import UsageError
from dynasor.simulation.kv_cache import KvCache


def test_blocks_come_and_go() -> None:
    cache = KvCache(10)
    cache.take(4)
    assert (cache.free, cache.taken, cache.available) == (6, 4, 6)
    cache.give_back(4)
    assert (cache.free, cache.taken) == (10, 0)


def test_no_block_is_freed_twice_or_had_twice() -> None:
    cache = KvCache(10)
    cache.take(4)
    with pytest.raises(AssertionError, match="5 blocks given back of 4"):
        cache.give_back(5)
    with pytest.raises(AssertionError, match="7 blocks wanted of 6"):
        cache.take(7)


def kept(cache: KvCache, name: str, blocks: int) -> None:
    cache.hold(name, blocks)
    cache.grow(name, blocks)
    cache.release(name)


def test_the_least_recent_prefix_goes_first_from_its_end() -> None:
    cache = KvCache(10)
    kept(cache, "old", 4)
    kept(cache, "new", 4)
    cache.take(5)
    assert (cache.blocks_of("old"), cache.blocks_of("new"), cache.evicted_blocks) == (1, 4, 3)
    cache.take(2)
    assert (cache.blocks_of("old"), cache.blocks_of("new"), cache.free) == (0, 3, 0)


def test_who_goes_first_is_told_from_outside() -> None:
    class LongestName:
        def __init__(self) -> None:
            self.names: set[str] = set()

        def add(self, prefix: str) -> None:
            self.names.add(prefix)

        def remove(self, prefix: str) -> None:
            self.names.remove(prefix)

        def next(self) -> str:
            return max(self.names, key=len)

    cache = KvCache(10, eviction=LongestName())
    kept(cache, "old", 4)
    kept(cache, "newer", 4)
    cache.take(6)
    assert (cache.blocks_of("old"), cache.blocks_of("newer")) == (4, 0)


def test_a_held_prefix_stays() -> None:
    cache = KvCache(10)
    cache.hold("p", 4)
    cache.grow("p", 4)
    cache.hold("p", 4)
    cache.release("p")
    assert (cache.available, cache.available_beside("p", 4)) == (6, 6)
    cache.release("p")
    assert (cache.available, cache.available_beside("p", 4), cache.available_beside("p", 3)) == (10, 6, 7)


def test_who_is_alone_with_a_prefix_keeps_no_more_than_it_uses() -> None:
    cache = KvCache(10)
    kept(cache, "p", 6)
    cache.hold("p", 2)
    assert (cache.blocks_of("p"), cache.free) == (2, 8)


def test_a_prefix_of_nothing_is_forgotten() -> None:
    cache = KvCache(10)
    cache.hold("p", 1)
    cache.release("p")
    assert (cache.blocks_of("p"), cache.blocks_of(None), cache.available) == (0, 0, 10)


def test_an_empty_cache_is_refused() -> None:
    with pytest.raises(UsageError, match="0 blocks of 16 tokens"):
        KvCache(0)


@given(st.lists(st.tuples(st.sampled_from(["hold", "release", "grow", "take", "give"]), st.integers(0, 3))))
def test_every_block_is_somewhere(actions: list[tuple[str, int]]) -> None:
    cache, held, taken = KvCache(8), Counter[str](), 0
    for action, amount in actions:
        name = f"p{amount}"
        if action == "hold":
            cache.hold(name, amount)
            held[name] += 1
        elif action == "release" and held[name]:
            cache.release(name)
            held[name] -= 1
        elif action == "grow" and held[name] and amount <= cache.available:
            cache.grow(name, amount)
        elif action == "take" and amount <= cache.available:
            cache.take(amount)
            taken += amount
        elif action == "give" and amount <= taken:
            cache.give_back(amount)
            taken -= amount
        assert cache.free + cache.taken + cache.prefix_blocks == cache.capacity
        assert cache.taken == taken
        assert cache.idle == sum(cache.blocks_of(f"p{i}") for i in range(4) if not held[f"p{i}"])
