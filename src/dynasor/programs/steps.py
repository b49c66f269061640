"""What a program's generator may yield, and what it is sent back.

A gang holds the program until all of it has landed. Streams run beside whatever the program does next: it waits for
their growth, cuts them, or ends, which cuts them too.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from dynasor.request import Completion, Request, RequestId


@dataclass(frozen=True, slots=True)
class Claim:
    """May I turn the knob further? Answered by how much: a whole number, 0 to make an end."""


@dataclass(frozen=True, slots=True)
class Gang:
    """Requests of one step, in flight together; answered by the completions that landed, in the requests' order.

    `knob` is how far they turn the knob once all have landed. The resource cap bounds the knob: requests that do not
    turn it, such as probes, are the algorithm's own to bound.
    """

    requests: tuple[Request, ...]
    knob: int


@dataclass(frozen=True, slots=True)
class Stream:
    """Start requests that run beside what follows; answered by None, at once. They do not turn the knob."""

    requests: tuple[Request, ...]


@dataclass(frozen=True, slots=True)
class Growth:
    """Wait until each of these streams has grown since it was last waited for, or has ended; answered by what they are.

    A stream grows where its request asks for reports (`Request.report_every`).
    """

    requests: tuple[RequestId, ...]


@dataclass(frozen=True, slots=True)
class Grown:
    """What a stream has come to.

    Attributes:
        text: all of it so far.
        tokens: generated tokens so far.
        completion: how it ended; None while it runs.
    """

    id: RequestId
    text: str = ""
    tokens: int = 0
    completion: Completion | None = None


@dataclass(frozen=True, slots=True)
class Cut:
    """Cut these streams; answered by None, at once. Tokens that they had generated count as spent."""

    requests: tuple[RequestId, ...]


Step = Claim | Gang | Stream | Growth | Cut

Execution = Generator[Step, Any, str | None]
"""What `Program.execute` is: it yields steps, and returns the answer, None if it has none."""
