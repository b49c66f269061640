"""The memory of keys and values: blocks of tokens, of which requests that begin alike share the first (paper 5.3.2).

A block belongs to nobody (free), to one request (taken), or to a prefix, which is held by those that use it and stays,
unheld, until its memory is needed. Blocks of one kind are all alike, so they are counted and have no names. Who goes
first when memory is needed is told from outside.
"""

from typing import Protocol

from dynasor.errors import UsageError


class Eviction(Protocol):
    """Knows the prefixes that nobody holds."""

    def add(self, prefix: str) -> None:
        """Nobody holds it any longer."""
        ...

    def remove(self, prefix: str) -> None:
        """It is held again, or gone."""
        ...

    def next(self) -> str:
        """The one whose last blocks are to go first; it stays until it is removed."""
        ...


class LeastRecent:
    """The prefix that was let go of the longest ago goes first."""

    def __init__(self) -> None:
        self._idle: dict[str, None] = {}

    def add(self, prefix: str) -> None:
        """It is the most recent."""
        self._idle[prefix] = None

    def remove(self, prefix: str) -> None:
        """Forget it."""
        del self._idle[prefix]

    def next(self) -> str:
        """The least recent."""
        return next(iter(self._idle))


class _Prefix:
    __slots__ = ("blocks", "holders")

    def __init__(self) -> None:
        self.blocks = 0
        self.holders = 0


class KvCache:
    """So many blocks of so many tokens each.

    Attributes:
        capacity: all blocks.
        free: blocks that belong to nobody.
        taken: blocks that belong to one request each.
        idle: blocks of prefixes that nobody holds.
        asked_tokens, hit_tokens: tokens that were looked for by those admitted, and those of them that were here.
        evicted_blocks: blocks of prefixes that had to go.
    """

    def __init__(self, capacity: int, block_tokens: int = 16, eviction: Eviction | None = None) -> None:
        if capacity < 1 or block_tokens < 1:
            raise UsageError(f"a cache of {capacity} blocks of {block_tokens} tokens; it needs at least 1 of each")
        self.capacity = self.free = capacity
        self.block_tokens = block_tokens
        self.taken = self.idle = 0
        self.asked_tokens = self.hit_tokens = self.evicted_blocks = 0
        self._eviction: Eviction = eviction or LeastRecent()
        self._prefixes: dict[str, _Prefix] = {}

    @property
    def available(self) -> int:
        """Blocks that can be had."""
        return self.free + self.idle

    @property
    def prefix_blocks(self) -> int:
        """Blocks of all prefixes."""
        return sum(prefix.blocks for prefix in self._prefixes.values())

    def available_beside(self, name: str | None, blocks: int) -> int:
        """Blocks that can be had while so many of a prefix are held."""
        prefix = self._prefixes.get(name) if name is not None else None
        return self.free + self.idle - (min(prefix.blocks, blocks) if prefix and not prefix.holders else 0)

    def blocks_of(self, name: str | None) -> int:
        """Blocks that are here of a prefix."""
        prefix = self._prefixes.get(name) if name is not None else None
        return prefix.blocks if prefix else 0

    def hold(self, name: str, blocks: int) -> None:
        """Somebody uses so many blocks of a prefix: nothing of it goes, save what is beyond them and held by nobody."""
        prefix = self._prefixes.get(name)
        if prefix is None:
            prefix = self._prefixes[name] = _Prefix()
        if not prefix.holders and prefix.blocks:
            self.idle -= prefix.blocks
            self._eviction.remove(name)
            beyond = max(0, prefix.blocks - blocks)
            prefix.blocks -= beyond
            self.free += beyond
            self.evicted_blocks += beyond
        prefix.holders += 1

    def release(self, name: str) -> None:
        """One of those who use a prefix does so no longer."""
        prefix = self._prefixes[name]
        prefix.holders -= 1
        if prefix.holders:
            return
        if prefix.blocks:
            self.idle += prefix.blocks
            self._eviction.add(name)
        else:
            del self._prefixes[name]

    def grow(self, name: str, blocks: int) -> None:
        """Blocks come to a prefix that is held."""
        self._clear(blocks)
        self.free -= blocks
        self._prefixes[name].blocks += blocks

    def take(self, blocks: int) -> None:
        """Blocks come to one request, which gives them back when it ends."""
        if blocks > self.free:
            self._clear(blocks)
        self.free -= blocks
        self.taken += blocks

    def give_back(self, blocks: int) -> None:
        """One request's blocks are free."""
        if blocks > self.taken:
            raise AssertionError(f"{blocks} blocks given back of {self.taken} that were taken")
        self.taken -= blocks
        self.free += blocks

    def _clear(self, blocks: int) -> None:
        """Make so many blocks free, from the ends of the prefixes that are to go first."""
        if blocks > self.available:
            raise AssertionError(f"{blocks} blocks wanted of {self.available} that can be had")
        while self.free < blocks:
            name = self._eviction.next()
            prefix = self._prefixes[name]
            gone = min(blocks - self.free, prefix.blocks)
            prefix.blocks -= gone
            self.free += gone
            self.idle -= gone
            self.evicted_blocks += gone
            if not prefix.blocks:
                self._eviction.remove(name)
                del self._prefixes[name]
