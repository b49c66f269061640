"""A request as the accelerator sees it, and what became of it. Its text is known elsewhere."""

import msgspec

from dynasor.errors import UsageError
from dynasor.request import Finish, RequestId


class SimulatedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request by its token counts.

    Attributes:
        output_tokens: how many it will generate, the first with the end of its prompt; only the accelerator, and an
            ordering that is meant as an oracle, may look.
        prefix: what the first `prefix_tokens` of its prompt are known by to those that begin alike; None where nobody
            does.
        depth: how many steps of its program came before it.
        milestones: counts of generated tokens, rising and below `output_tokens`, at which whoever asked is told.
        remaining_tokens: that its program is estimated to need yet, where a scheduler in front lets it through.
    """

    id: RequestId
    prompt_tokens: int
    output_tokens: int
    prefix: str | None = None
    prefix_tokens: int = 0
    depth: int = 0
    milestones: tuple[int, ...] = ()
    remaining_tokens: float | None = None

    def __post_init__(self) -> None:
        """Refuse counts that no request has."""
        if self.prompt_tokens < 1 or self.output_tokens < 1:
            raise UsageError(
                f"request {self.id} has {self.prompt_tokens} prompt and {self.output_tokens} output tokens; "
                "it needs at least 1 of each"
            )
        if not 0 <= self.prefix_tokens <= self.prompt_tokens:
            raise UsageError(
                f"request {self.id} shares {self.prefix_tokens} tokens of a prompt of {self.prompt_tokens}; "
                "share no more than it has"
            )


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """How a request ended, and when. Instants are in seconds of virtual time.

    Attributes:
        finish: STOP where it generated all it would, CANCELLED where it was cut.
        tokens: generated tokens, those of a cut request up to the cut.
        cached_tokens: prompt tokens that were in the cache when it was first admitted.
        admitted_at, first_token_at: None where it did not come so far.
        preemptions: how often it lost its memory and was computed again.
    """

    id: RequestId
    finish: Finish
    tokens: int
    prompt_tokens: int
    cached_tokens: int
    submitted_at: float
    admitted_at: float | None
    first_token_at: float | None
    ended_at: float
    preemptions: int

    @classmethod
    def unstarted(cls, id: RequestId, now_s: float) -> "Served":
        """A request that was cut before any accelerator saw it."""
        return cls(
            id=id,
            finish=Finish.CANCELLED,
            tokens=0,
            prompt_tokens=0,
            cached_tokens=0,
            submitted_at=now_s,
            admitted_at=None,
            first_token_at=None,
            ended_at=now_s,
            preemptions=0,
        )

    @property
    def latency_s(self) -> float:
        """From its submission to its end."""
        return self.ended_at - self.submitted_at
