"""What a program asks of a model, and what comes back.

These values know nothing of programs, engines or schedulers. They are msgspec structs and not dataclasses because
one is made for every branch, and each is written to the journal as it is.
"""

from enum import StrEnum
from typing import Any, NamedTuple, NewType

import msgspec

ProgramId = NewType("ProgramId", str)


class RequestId(NamedTuple):
    """One request: the program that made it, and its place among that program's requests (from 0)."""

    program: ProgramId
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody asks of an id


class Message(msgspec.Struct, frozen=True):
    """One turn of a chat. A last turn of the role "assistant" is one that the model goes on with."""

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


def continued(prompt: Prompt, text: str) -> Prompt:
    """The prompt of a model that has answered `text` so far and is to go on."""
    if not text:
        return prompt
    if isinstance(prompt, str):
        return prompt + text
    *before, last = prompt
    if last.role == "assistant":
        return (*before, Message("assistant", last.content + text))
    return (*prompt, Message("assistant", text))


class Request(msgspec.Struct, frozen=True):
    """One call to a model.

    Attributes:
        seed: None unless the user asked for seeded requests.
        scored: whether a reward model is to score what comes of it.
        report_every: generated tokens between two reports of what there is so far; None for no reports.
        optional: its program can do without it: where it fails, though it may succeed later, the program goes on.
        remaining_tokens: what its program was estimated to need yet when it was started; None where nobody estimates.
        extra_body: further fields of the request as servers are sent it, such as a schema or tools.
    """

    id: RequestId
    prompt: Prompt
    sampling: Sampling
    seed: int | None = None
    scored: bool = False
    report_every: int | None = None
    optional: bool = False
    remaining_tokens: int | None = None
    extra_body: dict[str, Any] | None = None


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


class ToolCall(msgspec.Struct, frozen=True):
    """A tool that the model wants called.

    Attributes:
        arguments: JSON, as the model wrote it.
        id: by which the tool's result refers to it.
    """

    name: str
    arguments: str
    id: str = ""


class Recorded(msgspec.Struct, frozen=True):
    """What a recording already knows of a completion: its extracted answer (None: it had none)."""

    answer: str | None


class Completion(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The result of one request.

    Attributes:
        tokens: generated tokens, those of a cut request up to the cut; None where the server did not tell.
        prompt_tokens: tokens of the prompt as the server counted them; None where it did not tell.
        mean_logprob: mean natural logarithm of the probabilities of the generated tokens.
        tail_logprob, lowest_logprob: the same mean over the last tokens, and the least such mean over any as many
            tokens in a row (DeepConf's group confidence); over all tokens where there are fewer.
        stopped_at: the stop string that ended it; None where the model itself did, or the server does not tell.
        reward: a reward model's output for this completion, where there is one.
        recorded: what a recording knows of the answer; None for a live completion, whose text is still to be read.
        error: why it failed, one line.
        retryable: a failed request that might succeed later. Its program is left unfinished and can be resumed.
        calls: the tools that the model wants called, in its order.
    """

    id: RequestId
    text: str = ""
    finish: Finish = Finish.STOP
    tokens: int | None = 0
    prompt_tokens: int | None = None
    mean_logprob: float | None = None
    tail_logprob: float | None = None
    lowest_logprob: float | None = None
    stopped_at: str | None = None
    reward: float | None = None
    recorded: Recorded | None = None
    error: str | None = None
    retryable: bool = False
    calls: tuple[ToolCall, ...] = ()


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a request that runs has generated so far.

    Attributes:
        text: all of it.
        tokens: generated tokens.
        lowest_logprob: as in a completion.
    """

    id: RequestId
    text: str
    tokens: int
    lowest_logprob: float | None = None


class Sample(msgspec.Struct, frozen=True, omit_defaults=True):
    """One recorded completion: its extracted answer (None: there was none) and its generated tokens."""

    answer: str | None
    tokens: int
    text: str = ""
    mean_logprob: float | None = None
    reward: float | None = None
