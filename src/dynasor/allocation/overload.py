"""Priority between programs in allocation (paper 5.2.1): what would be late is granted less, the least useful first.

Every running program has a deadline, branches that were granted and have not landed, and a need: the fewest further
branches that could change its answer. A program that asks may have what the engine serves until its deadline, less what
was granted to those that are due before it, less the needs of those to which a token is worth more. Where that is less
than its policy grants, it gets less; where it is nothing, the program ends with the answer that it has.

It is told the time and the pace of the engine by a host, and returns grants; it knows no clock, no engine, and of
programs only their ids. A decision costs O(n) in the running programs, and is made at claims only.
"""

from dataclasses import dataclass, field
from math import inf

from dynasor.allocation.allocator import Allocator
from dynasor.allocation.expected_gain import gain_of_knowing
from dynasor.allocation.progress import Grant, Progress, stop
from dynasor.errors import UsageError
from dynasor.request import ProgramId

DEADLINE = "deadline"
MARGIN = 1.25
"""What is still to be served is taken so many times: branches vary in length, and the last one counts."""


@dataclass(slots=True, eq=False)
class _Case:
    """One running program: when it is due, what was granted to it, and what more it needs."""

    due_at: float
    knob: int = 0
    branch_tokens: float = 0.0
    granted: int = 0
    needed: int = 0
    gain: float = inf  # of a token; that of a program that knows nothing yet comes before all others

    @property
    def granted_tokens(self) -> float:
        return self.granted * self.branch_tokens

    @property
    def needed_tokens(self) -> float:
        return self.needed * self.branch_tokens


@dataclass(slots=True)
class Overload:
    """What all running programs of one engine ask of it.

    Attributes:
        now: the present instant in the host's seconds; the host sets it before it lets a program ask.
        tokens_per_s: what the engine serves to all; None while nobody knows, and then nothing is shrunk.
        request_tokens_per_s: what it serves to one request.
    """

    now: float = 0.0
    tokens_per_s: float | None = None
    request_tokens_per_s: float | None = None
    _cases: dict[ProgramId, _Case] = field(default_factory=dict)
    _seen_tokens: int = 0  # of the branches that have landed, for the length of a branch before a program has any
    _seen_branches: int = 0

    def pace(self, tokens_per_s: float | None, request_tokens_per_s: float | None) -> None:
        """The engine serves so fast."""
        self.tokens_per_s, self.request_tokens_per_s = tokens_per_s, request_tokens_per_s

    def due(self, program: ProgramId, within_s: float, allocator: Allocator) -> "Due":
        """A program's allocator under its deadline, which runs from its first claim on.

        Raises:
            UsageError: for a deadline that is over before it begins.
        """
        if not within_s > 0:
            raise UsageError(f"the deadline is {within_s:g} s; it must be above 0")
        return Due(self, program, within_s, allocator)

    def leave(self, program: ProgramId) -> None:
        """A program has ended; one that is not known is passed over."""
        self._cases.pop(program, None)

    def grant(self, program: ProgramId, within_s: float, wanted: Grant, progress: Progress) -> Grant:
        """What a program may have of what its allocator grants; for `Due`."""
        case = self._cases.setdefault(program, _Case(self.now + within_s))
        self._take_in(case, progress)
        if not wanted:
            case.granted = case.needed = 0
            return wanted
        case.granted = min(wanted.knob, max(self._fitting(case), int(not progress.knob)))
        return Grant(case.granted, wanted.reason) if case.granted else stop(DEADLINE)

    def _take_in(self, case: _Case, progress: Progress) -> None:
        """A program has come so far."""
        votes, left = progress.votes, progress.remaining
        if progress.knob > case.knob:
            self._seen_branches += progress.knob - case.knob
            self._seen_tokens += progress.tokens - round(case.knob * case.branch_tokens)
            case.knob, case.branch_tokens = progress.knob, progress.tokens / progress.knob
            case.needed = min(max(1, votes.leader - votes.runner_up + 1), left)  # the fewest that change the answer
            case.gain = gain_of_knowing(votes) / max(1.0, case.needed * case.branch_tokens)
        elif self._seen_branches and not case.knob:
            case.branch_tokens = self._seen_tokens / self._seen_branches

    def _fitting(self, case: _Case) -> int:
        """How many branches of a program the engine can serve by its deadline; at most all, where nobody knows."""
        if self.tokens_per_s is None or not case.branch_tokens:
            return 1 << 30
        left_s = case.due_at - self.now
        if self.request_tokens_per_s and left_s < MARGIN * case.branch_tokens / self.request_tokens_per_s:
            return 0
        before = sum(self._goes_before(other, case) for other in self._cases.values() if other is not case)
        return max(0, int((self.tokens_per_s * left_s / MARGIN - before) / case.branch_tokens))

    def _goes_before(self, other: _Case, case: _Case) -> float:
        """Tokens of another program that are served first."""
        granted = other.granted_tokens if other.due_at <= case.due_at else 0.0
        needed = other.needed_tokens if other.gain > case.gain and other.due_at > self.now else 0.0
        return granted + needed


@dataclass(frozen=True, slots=True)
class Due:
    """The allocator of a program with a deadline."""

    overload: Overload
    program: ProgramId
    within_s: float
    inner: Allocator

    @property
    def watches(self) -> bool:
        """As the inner one."""
        return self.inner.watches

    def grant(self, progress: Progress) -> Grant:
        """What the inner one grants, or as much of it as can be served in time."""
        return self.overload.grant(self.program, self.within_s, self.inner.grant(progress), progress)

    def cut(self, progress: Progress) -> bool:
        """As the inner one: what was granted was taken to be in time."""
        return self.inner.cut(progress)
