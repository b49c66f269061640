"""Which cached blocks are given up: those of programs with no active request first (paper 5.3.2), by a second chance.

Just before blocks are taken from the head of the queue of free ones, those at its head that belong to live programs
are moved to its tail. Nothing is pinned and the number of free blocks stays what it is; the others keep their order.
Looks are earned by blocks that are let go, so that they cost a constant for each, even where all belongs to live
programs and there is nothing to find. It knows of vLLM only what the protocols here say.
"""

from collections.abc import Callable, Hashable, Iterable
from typing import Any, NamedTuple, Protocol

from dynasor.request import ProgramId

_LOOKED_AT = 4096  # blocks at most, each time; beyond, what comes is evicted as it comes
_EARNED = 4  # looks, by a block that is let go
_OWNERS = 8  # of a block, before those that are gone are swept out


class Block(Protocol):
    """A block of the cache, with a hash of what it holds; None for nothing that could be found again."""

    block_id: int
    next_free_block: Any

    @property
    def block_hash(self) -> Hashable | None:
        """What it holds."""
        ...


class FreeQueue(Protocol):
    """The free blocks, the next to be taken first, between two blocks that are none."""

    num_free_blocks: int
    fake_free_list_head: Any
    fake_free_list_tail: Any

    def remove(self, block: Any) -> None:
        """Take a block out."""
        ...

    def append_n(self, blocks: Any) -> None:
        """Put blocks at the tail."""
        ...


class Held(NamedTuple):
    """What a block held when it was let go, and for which programs."""

    block_hash: Hashable
    owners: tuple[ProgramId, ...]


class SecondChance:
    """Keeps in mind whose the free blocks are."""

    def __init__(self, free: FreeQueue, is_live: Callable[[ProgramId], bool]) -> None:
        self._free = free
        self._is_live = is_live
        self._held: dict[int, Held] = {}
        self._looks = _LOOKED_AT
        self._rests = False  # until the looks that found nothing have been earned again

    def note(self, program: ProgramId, blocks: Iterable[Block]) -> None:
        """A request of a program lets go of blocks."""
        for block in blocks:
            self._looks += _EARNED
            block_hash = block.block_hash
            if block_hash is None:
                continue
            owners: tuple[ProgramId, ...] = ()
            held = self._held.get(block.block_id)
            if held is not None and held.block_hash == block_hash:
                owners = held.owners
                if program in owners:
                    continue
                if len(owners) >= _OWNERS:
                    owners = tuple([owner for owner in owners if self._is_live(owner)])
            self._held[block.block_id] = Held(block_hash, (*owners, program))
        if self._looks >= _LOOKED_AT:
            self._looks, self._rests = _LOOKED_AT, False

    def spare(self, needed: int) -> int:
        """So many blocks are about to be taken; returns how many were moved out of the way.

        Where none but blocks of live programs are found, all stay where they are: the least recently used go.
        """
        if not self._held or self._rests:
            return 0
        live: list[Block] = []
        found = 0
        block = self._free.fake_free_list_head.next_free_block
        while block is not self._free.fake_free_list_tail and found < needed and found + len(live) < self._looks:
            if self._belongs_to_live(block):
                live.append(block)
            else:
                found += 1
            block = block.next_free_block
        self._looks -= found + len(live)
        self._rests = not found
        if not found or not live:
            return 0
        for spared in live:
            self._free.remove(spared)
        self._free.append_n(live)
        return len(live)

    def _belongs_to_live(self, block: Block) -> bool:
        held = self._held.get(block.block_id)
        if held is None:
            return False
        if held.block_hash != block.block_hash:
            del self._held[block.block_id]
            return False
        return any(map(self._is_live, held.owners))
