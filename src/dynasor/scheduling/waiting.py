"""A request that waits: what orderings may know of it. The scheduler knows no prompt and no engine."""

from collections.abc import Hashable

import msgspec

from dynasor.request import ProgramId


class Waiting(msgspec.Struct, frozen=True, gc=False):
    """One request in the queue.

    Attributes:
        id: the host's name for it.
        program: who made it.
        rank: its place among all requests by arrival, a counter; no two requests have the same.
        arrived_at: the instant of its arrival, in the host's seconds.
        expected_tokens: what its program was estimated to need yet, when it arrived.
        depth: how many steps of its program came before it.
        opening: the first 32 tokens of its prompt, or whatever stands for them; None for a shorter prompt.
    """

    id: Hashable
    program: ProgramId
    rank: int
    arrived_at: float
    expected_tokens: float
    depth: int = 0
    opening: Hashable = None
