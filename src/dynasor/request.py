"""What a program asks of a model, and what comes back.

These values know nothing of programs, engines or schedulers. They are msgspec structs and not dataclasses because
one is made for every branch, and each is written to the journal as it is.
"""

from enum import StrEnum
from typing import NamedTuple, NewType

import msgspec

ProgramId = NewType("ProgramId", str)


class RequestId(NamedTuple):
    """One request: the program that made it, and its place among that program's requests (from 0)."""

    program: ProgramId
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody asks of an id


class Message(msgspec.Struct, frozen=True):
    """One turn of a chat."""

    role: str
    content: str


Prompt = str | tuple[Message, ...]
"""Plain text (for a completions endpoint) or a conversation (for a chat endpoint)."""


class Sampling(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a completion is drawn; `max_tokens` bounds the generated tokens of one request."""

    temperature: float = 0.7
    top_p: float = 1.0
    max_tokens: int = 1024
    stop: tuple[str, ...] = ()
    logprobs: bool = False


class Request(msgspec.Struct, frozen=True):
    """One call to a model. `seed` is None unless the user asked for seeded requests."""

    id: RequestId
    prompt: Prompt
    sampling: Sampling
    seed: int | None = None


class Finish(StrEnum):
    """How a request ended."""

    STOP = "stop"  # the model came to an end
    LENGTH = "length"  # the model reached max_tokens
    CANCELLED = "cancelled"  # we cut it: it could no longer matter
    FAILED = "failed"  # the engine refused it for good; it has no text to vote with

    @property
    def is_whole(self) -> bool:
        """Whether the model came to the end that it was allowed: there is an answer to read, if it gave one."""
        return self in (Finish.STOP, Finish.LENGTH)


class Recorded(msgspec.Struct, frozen=True):
    """What a recording already knows of a completion: its extracted answer (None: it had none)."""

    answer: str | None


class Completion(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The result of one request.

    Attributes:
        tokens: generated tokens, those of a cut request up to the cut; None where the server did not tell.
        prompt_tokens: tokens of the prompt as the server counted them; None where it did not tell.
        mean_logprob: mean natural logarithm of the probabilities of the generated tokens.
        reward: a reward model's output for this completion, where there is one.
        recorded: what a recording knows of the answer; None for a live completion, whose text is still to be read.
        error: why it failed, one line.
        retryable: a failed request that might succeed later. Its program is left unfinished and can be resumed.
    """

    id: RequestId
    text: str = ""
    finish: Finish = Finish.STOP
    tokens: int | None = 0
    prompt_tokens: int | None = None
    mean_logprob: float | None = None
    reward: float | None = None
    recorded: Recorded | None = None
    error: str | None = None
    retryable: bool = False


class Sample(msgspec.Struct, frozen=True, omit_defaults=True):
    """One recorded completion: its extracted answer (None: there was none) and its generated tokens."""

    answer: str | None
    tokens: int
    text: str = ""
    mean_logprob: float | None = None
    reward: float | None = None
