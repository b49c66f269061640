"""One program as the dashboard knows it: a bounded fold over what happens to it. It reads no clock.

What it keeps grows with nothing but its bounds: a certaindex for each of at most `_POINTS` places of the knob, a letter
for each of the latest `_STRIP` requests, a line for each of the first `_BRANCHES`. Texts are kept where that is wanted.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from dynasor.certaindex.signal import by_entropy
from dynasor.programs.program import Program
from dynasor.programs.session import Outcome
from dynasor.request import Completion, Finish, Report, RequestId
from dynasor.runtime.contained import ContainedSession

_POINTS = 64
_STRIP = 128
_BRANCHES = 256
_LETTERS = {Finish.STOP: "s", Finish.LENGTH: "l", Finish.CANCELLED: "c", Finish.FAILED: "f"}


class State(StrEnum):
    """How far a program is."""

    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"
    WITHDRAWN = "withdrawn"  # its client left
    FAILED = "failed"

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        return self not in (State.WAITING, State.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a program comes from.

    Attributes:
        tenant: whose it is.
        asked_at, due_at: instants; None: its answer is not due.
    """

    tenant: str
    model: str
    algorithm: str
    policy: str
    asked_at: float
    due_at: float | None = None


@dataclass(slots=True)
class Branch:
    """A request of a program that has ended.

    Attributes:
        finish: a letter for how.
        at: the instant.
        completion: with its text; None where texts are not kept, or no longer.
    """

    id: RequestId
    finish: str
    tokens: int
    at: float
    completion: Completion | None


@dataclass(slots=True, eq=False)
class LiveProgram:
    """What is known of one program.

    Attributes:
        session: while it lives; afterwards None, so that only what is said here is kept.
        program: the program itself, for its texts; None where they are not kept, or no longer.
        asked_bytes: of the request, which the program holds in one form or another.
        version: grows with every change of any program.
        tokens: of the requests that have ended, those that were cut included; what runs is in `growing`.
        saved_tokens: against even allocation; None where nobody knows.
        counts: requests that have ended, by how.
        strip: a letter for each of them, in the order in which they ended.
        points: certaindex over the knob.
        voted: votes of the leading answer, and all.
        groups: votes of each answer, most first, once it is over.
        answer: what it came to; None also where texts are not kept.
        branches: requests that have ended, the first so many.
    """

    id: str
    origin: Origin
    cap: int
    session: ContainedSession | None
    program: Program | None
    asked_bytes: int
    state: State = State.WAITING
    version: int = 0
    began_at: float | None = None
    ended_at: float | None = None
    knob: int = 0
    certaindex: float = 0.0
    tokens: int = 0
    cut_tokens: int = 0
    saved_tokens: int | None = None
    stopped_by: str = ""
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys("slcf", 0))
    strip: str = ""
    points: list[tuple[int, float]] = field(default_factory=list)
    voted: tuple[int, int] = (0, 0)
    groups: list[int] = field(default_factory=list)
    growing: dict[RequestId, int] = field(default_factory=dict)
    answer: str | None = None
    branches: list[Branch] = field(default_factory=list)

    def start(self, now: float) -> None:
        """It has begun."""
        self.state, self.began_at = State.RUNNING, now

    def grow(self, program: Program, report: Report) -> None:
        """A request has generated more."""
        self.growing[report.id] = report.tokens
        self._read(program)

    def land(self, program: Program, completion: Completion, now: float) -> None:
        """A request has ended."""
        self.growing.pop(completion.id, None)
        letter = _LETTERS[completion.finish]
        self.counts[letter] += 1
        self.strip = (self.strip + letter)[-_STRIP:]
        self.tokens += completion.tokens or 0
        if completion.finish is Finish.CANCELLED:
            self.cut_tokens += completion.tokens or 0
        if len(self.branches) < _BRANCHES:
            told = completion if self.program is not None else None
            self.branches.append(Branch(completion.id, letter, completion.tokens or 0, now, told))
        self._read(program)

    def finish(self, program: Program, outcome: Outcome, saved_tokens: int | None) -> None:
        """It has answered; to be ended next."""
        self._read(program)
        self.certaindex, self.knob = outcome.certaindex, outcome.knob
        self._point()
        self.tokens, self.cut_tokens, self.saved_tokens = outcome.tokens, outcome.cut_tokens, saved_tokens
        self.stopped_by = outcome.stopped_by
        if self.program is not None:
            self.answer = outcome.answer

    def end(self, state: State, now: float) -> None:
        """It is over."""
        if self.session is not None:
            self.groups = sorted(self.session.program.evidence.ballot.counts, reverse=True)
        self.state, self.ended_at, self.session = state, now, None
        self.growing.clear()

    def forget_texts(self) -> None:
        """Keep its figures alone."""
        self.program = self.answer = None
        for branch in self.branches:
            branch.completion = None

    @property
    def text_size(self) -> int:
        """Characters that are kept of it, about."""
        if self.program is None:
            return 0
        texts = (branch.completion.text for branch in self.branches if branch.completion is not None)
        return self.asked_bytes + sum(map(len, texts))

    @property
    def in_flight(self) -> int:
        """Requests at the engine, or waiting for it."""
        return 0 if self.session is None else self.session.in_flight_count

    def told(self) -> dict[str, Any]:
        """For the page; instants are in seconds of the gateway's clock."""
        origin = self.origin
        return {
            "id": self.id, "tenant": origin.tenant, "model": origin.model, "algorithm": origin.algorithm,
            "policy": origin.policy, "asked_at": origin.asked_at, "state": self.state.value,
            "began_at": self.began_at, "ended_at": self.ended_at, "cap": self.cap, "knob": self.knob,
            "certaindex": self.certaindex, "tokens": self.tokens + sum(self.growing.values()),
            "cut_tokens": self.cut_tokens, "saved_tokens": self.saved_tokens, "stopped_by": self.stopped_by,
            "in_flight": self.in_flight, "counts": self.counts, "strip": self.strip, "points": self.points,
            "voted": self.voted,
        }  # fmt: skip

    def _read(self, program: Program) -> None:
        """Take in how the program stands; nothing is called that a program of another package may have changed."""
        votes = program.evidence.ballot.votes()
        self.knob, self.voted = program.knob, (votes.leader, votes.cast)
        self.certaindex = reading(program)
        self._point()

    def _point(self) -> None:
        points, point = self.points, (self.knob, round(self.certaindex, 4))
        if points and points[-1][0] == self.knob:
            points[-1] = point
        else:
            points.append(point)
        if len(points) > _POINTS:
            self.points = [*points[:-1:2], point]


def reading(program: Program) -> float:
    """Certaindex now, where it is read from the votes alone; else as the program's policy last read it.

    A program of another package may do anything when asked to read it anew, and is not; what it has set may be
    anything too.
    """
    if type(program).update_certaindex is Program.update_certaindex and program.setup.signal is by_entropy:
        return by_entropy(program.evidence)
    told: Any = program.certaindex
    return float(told) if isinstance(told, int | float) and 0.0 <= told <= 1.0 else 0.0
