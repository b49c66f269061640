from hypothesis import given
from hypothesis import strategies as st

from dynasor.scheduling.movable_heap import MovableHeap


@given(st.lists(st.tuples(st.integers(0, 12), st.none() | st.integers(0, 99))))
def test_the_least_key_is_first_after_any_moves(moves: list[tuple[int, int | None]]) -> None:
    heap: MovableHeap[int] = MovableHeap()
    keys: dict[int, tuple[int, int]] = {}
    for member, key in moves:
        if key is None:
            heap.discard(member)
            keys.pop(member, None)
        else:
            keys[member] = (key, member)
            heap.put(member, keys[member])
        assert len(heap) == len(keys)
        assert not keys or heap.first == min((key, member) for member, key in keys.items())
    while keys:
        (_, member) = heap.first
        assert keys.pop(member) == min([*keys.values(), heap.first[0]])
        heap.discard(member)
