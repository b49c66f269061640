"""A request on its way through an accelerator, and the blocks that it needs. Knows no other requests and no time."""

from dynasor.request import Finish
from dynasor.simulation.kernel import SECOND
from dynasor.simulation.kv_cache import KvCache
from dynasor.simulation.requests import Served, SimulatedRequest


class Sequence:
    """What is known of it.

    Attributes:
        prompt: tokens to compute before the next one is generated: its prompt, and what it had generated before it was
            preempted.
        left: tokens to generate.
        computed: tokens of its prompt that are in the cache.
        prefix: the prefix of which it holds blocks; None where none of its blocks can be shared.
        sharable: blocks of its prompt that belong to the prefix.
        taken: blocks of its own that its prompt has.
        began: the number of steps done before it decoded.
        ends: that after which it has ended; -1 while it does not decode.
        submitted, admitted, first_token: instants; -1 where there is none yet.
    """

    __slots__ = (
        "admitted", "began", "cached", "computed", "ends", "first_token", "left", "preemptions", "prefix",
        "prompt", "request", "sharable", "submitted", "taken",
    )  # fmt: skip

    def __init__(self, request: SimulatedRequest, submitted: int, block_tokens: int) -> None:
        self.request = request
        self.submitted = submitted
        self.admitted = self.first_token = self.ends = -1
        self.prompt = request.prompt_tokens
        self.left = request.output_tokens
        self.sharable = request.prefix_tokens // block_tokens if request.prefix is not None else 0
        self.prefix = request.prefix if self.sharable else None
        self.computed = self.taken = self.began = self.cached = self.preemptions = 0

    def hit_tokens(self, cache: KvCache) -> int:
        """Tokens of its prompt that are in the cache; at least the last one is to be computed."""
        if self.prefix is None:
            return 0
        blocks = min(cache.blocks_of(self.prefix), self.sharable, (self.prompt - 1) // cache.block_tokens)
        return blocks * cache.block_tokens

    def needs(self, cache: KvCache, until: int) -> tuple[int, int]:
        """Blocks for its prompt up to a token: those that its prefix comes to hold more, and those of its own."""
        shared = min(self.sharable, until // cache.block_tokens)
        own = -(-until // cache.block_tokens) - shared - self.taken
        return (max(0, shared - cache.blocks_of(self.prefix)) if shared else 0), own

    def compute(self, cache: KvCache, until: int) -> None:
        """Its prompt is computed up to a token."""
        shared, own = self.needs(cache, until)
        if own > 0:
            cache.take(own)
        elif own:
            cache.give_back(-own)
        if shared and self.prefix is not None:
            cache.grow(self.prefix, shared)
        self.taken += own
        self.computed = until

    def free(self, cache: KvCache, generated: int) -> None:
        """Let go of all blocks, those of tokens that were generated after its prompt too."""
        blocks = -(-(self.prompt + generated) // cache.block_tokens) - -(-self.prompt // cache.block_tokens)
        cache.give_back(self.taken + blocks)
        if self.prefix is not None:
            cache.release(self.prefix)
        self.taken = self.computed = 0

    def served(self, finish: Finish, now: int) -> Served:
        """It has ended."""
        return Served(
            id=self.request.id,
            finish=finish,
            tokens=self.request.output_tokens - self.left,
            prompt_tokens=self.request.prompt_tokens,
            cached_tokens=self.cached,
            submitted_at=self.submitted / SECOND,
            admitted_at=None if self.admitted < 0 else self.admitted / SECOND,
            first_token_at=None if self.first_token < 0 else self.first_token / SECOND,
            ended_at=now / SECOND,
            preemptions=self.preemptions,
        )
