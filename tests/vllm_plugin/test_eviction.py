from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from dynasor.request import ProgramId
from dynasor.vllm_plugin.eviction import SecondChance

A, B, C = ProgramId("a"), ProgramId("b"), ProgramId("c")


@dataclass(eq=False)
class FakeBlock:
    block_id: int
    block_hash: str | None = None
    next_free_block: Any = None


@dataclass
class FakeFree:
    """Free blocks between two that are none."""

    blocks: list[FakeBlock]
    fake_free_list_head: Any = field(default_factory=lambda: FakeBlock(-1))
    fake_free_list_tail: Any = field(default_factory=lambda: FakeBlock(-2))

    def __post_init__(self) -> None:
        self.link()

    @property
    def num_free_blocks(self) -> int:
        return len(self.blocks)

    @num_free_blocks.setter
    def num_free_blocks(self, count: int) -> None:
        raise AssertionError("the number of free blocks is none of the plug-in's business")

    def link(self) -> None:
        row = [self.fake_free_list_head, *self.blocks, self.fake_free_list_tail]
        for before, after in pairwise(row):
            before.next_free_block = after

    def remove(self, block: FakeBlock) -> None:
        self.blocks.remove(block)
        self.link()

    def append_n(self, blocks: list[FakeBlock]) -> None:
        self.blocks += blocks
        self.link()

    @property
    def ids(self) -> list[int]:
        return [block.block_id for block in self.blocks]


def free_blocks(count: int = 6) -> FakeFree:
    return FakeFree([FakeBlock(id, f"hash {id}") for id in range(count)])


def test_blocks_of_live_programs_are_passed_over() -> None:
    free = free_blocks()
    chance = SecondChance(free, {A}.__contains__)
    chance.note(A, free.blocks[:2])
    chance.note(B, free.blocks[2:])
    assert chance.spare(1) == 2
    assert free.ids == [2, 3, 4, 5, 0, 1], "the others keep their order, and so do those that were moved"
    assert chance.spare(1) == 0


def test_as_many_are_looked_at_as_are_taken() -> None:
    free = free_blocks()
    chance = SecondChance(free, {A}.__contains__)
    chance.note(A, [free.blocks[0], free.blocks[3]])
    assert chance.spare(2) == 1
    assert free.ids == [1, 2, 3, 4, 5, 0]
    assert chance.spare(3) == 1
    assert free.ids == [1, 2, 4, 5, 0, 3]


def test_where_all_are_live_the_oldest_goes() -> None:
    free = free_blocks()
    chance = SecondChance(free, {A}.__contains__)
    chance.note(A, free.blocks)
    assert chance.spare(3) == 0
    assert free.ids == [0, 1, 2, 3, 4, 5]


def test_where_all_are_live_looks_cost_a_constant_for_each_block_let_go() -> None:
    looks = 0

    def is_live(_: ProgramId) -> bool:
        nonlocal looks
        looks += 1
        return True

    free = free_blocks(1000)
    chance = SecondChance(free, is_live)
    chance.note(A, free.blocks)
    for block in free.blocks:
        chance.spare(1)
        chance.note(A, [block])
    assert looks <= 1000 + 4 * 1000


def test_after_a_look_that_found_nothing_what_can_go_is_found_again() -> None:
    free = free_blocks(40)
    chance = SecondChance(free, {A}.__contains__)
    chance.note(A, free.blocks)
    assert chance.spare(1) == 0
    others = [FakeBlock(100 + id, f"hash {100 + id}") for id in range(10)]
    free.append_n(others)
    chance.note(B, others)
    assert chance.spare(1) == 40
    assert free.ids[:10] == list(range(100, 110))


def test_a_program_that_has_ended_is_no_longer_spared() -> None:
    free, live = free_blocks(), {A}
    chance = SecondChance(free, live.__contains__)
    chance.note(A, free.blocks[:1])
    live.clear()
    assert chance.spare(1) == 0
    live.add(A)
    assert chance.spare(1) == 1, "its blocks are remembered as long as they hold what they held"


def test_a_block_that_holds_something_else_now_is_nobodys() -> None:
    free = free_blocks()
    chance = SecondChance(free, {A}.__contains__)
    chance.note(A, free.blocks[:1])
    free.blocks[0].block_hash = "another"
    assert chance.spare(1) == 0
    free.blocks[0].block_hash = "hash 0"
    assert chance.spare(1) == 0


def test_a_block_of_several_programs_is_spared_for_any_of_them() -> None:
    free, live = free_blocks(), {C}
    chance = SecondChance(free, live.__contains__)
    for index in range(20):
        chance.note(ProgramId(f"gone {index}"), free.blocks[:1])
    chance.note(C, free.blocks[:1])
    chance.note(B, free.blocks[:1])
    assert chance.spare(1) == 1


def test_blocks_that_hold_nothing_to_be_found_again_are_nobodys() -> None:
    free = FakeFree([FakeBlock(0), FakeBlock(1)])
    chance = SecondChance(free, {A}.__contains__)
    chance.note(A, free.blocks)
    assert chance.spare(1) == 0
