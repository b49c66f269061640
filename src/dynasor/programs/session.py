"""One program with one allocator: a pure core (paper 5.2.1).

It is told that it starts and what has landed, and returns effects: requests to start, requests to cut, the outcome.
It waits for nothing, reads no clock and holds no lock, so the same session runs live, replayed and in virtual time.
"""

from dataclasses import dataclass
from typing import Any

from dynasor.allocation.allocator import Allocator
from dynasor.allocation.progress import Grant
from dynasor.errors import ProgramError
from dynasor.programs.program import Claim, Gang, Program
from dynasor.request import Completion, Finish, Request, RequestId


@dataclass(frozen=True, slots=True)
class Submit:
    """Start these requests."""

    requests: tuple[Request, ...]


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cut these requests: they can no longer matter. Each still ends in a completion, which tells what it cost."""

    requests: tuple[RequestId, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a program came to.

    Attributes:
        answer: None if no branch had one.
        certaindex: the last reading, in [0, 1].
        knob: how far the knob was turned: branches that landed or failed.
        tokens: all generated tokens, those of cut branches included.
        cut_tokens: of these, what cut branches had generated.
        cut_count, failed_count: branches that were cut, and that failed for good.
        stopped_by: why it got no more: "cap", or the policy's reason.
        fault: why the last failed branch did; None if none did.
        unknown_count: branches whose server did not tell their tokens; they are counted at the mean of the others.
        started_at, finished_at: instants in the host's seconds.
    """

    answer: str | None
    certaindex: float
    knob: int
    tokens: int
    cut_tokens: int
    cut_count: int
    failed_count: int
    stopped_by: str
    started_at: float
    finished_at: float
    fault: str | None = None
    unknown_count: int = 0


@dataclass(frozen=True, slots=True)
class Finished:
    """The program has ended."""

    outcome: Outcome


Effect = Submit | Cancel | Finished


class Session:
    """Runs one program under one allocator."""

    def __init__(self, program: Program, allocator: Allocator) -> None:
        self.program = program
        self._allocator = allocator
        self._execution = program.execute()
        self._gang = Gang((), 0)
        self._in_flight: set[RequestId] = set()
        self._cut: set[RequestId] = set()
        self._landed: dict[RequestId, Completion] = {}
        self._balance = 0  # granted knob that is not yet spent
        self._stopped_by = "the program"
        self._tokens = self._cut_tokens = self._cut_count = self._failed_count = 0
        self._unknown_count = 0
        self._fault: str | None = None
        self._started_at = 0.0

    @property
    def in_flight_count(self) -> int:
        """Requests that were submitted and have not landed."""
        return len(self._in_flight)

    def start(self, now: float) -> list[Effect]:
        """Begin; `now` is in seconds."""
        self._started_at = now
        return self._advance(None, now)

    def land(self, completion: Completion, now: float) -> list[Effect]:
        """Take in the end of one request in flight.

        Raises:
            ProgramError: if that request is not in flight.
        """
        if completion.id not in self._in_flight:
            raise ProgramError(f"request {completion.id.index} of program {completion.id.program} is not in flight")
        self._in_flight.remove(completion.id)
        self._count(completion)
        if completion.id not in self._cut and completion.finish is not Finish.CANCELLED:
            self._fold(completion)
        if not self._in_flight:
            return self._end_gang(now)
        if self._allocator.watches and not self._cut:
            return self._reconsider()
        return []

    def _reconsider(self) -> list[Effect]:
        self.program.update_certaindex()
        if not self._allocator.cut(self.program.progress()):
            return []
        self._cut = set(self._in_flight)
        return [Cancel(tuple(sorted(self._cut)))]

    def _fold(self, completion: Completion) -> None:
        self._landed[completion.id] = completion
        if self._gang.knob == len(self._gang.requests):
            self.program.knob += 1
        if completion.finish is Finish.FAILED:
            self.program.evidence.ballot.abstain(completion.id.index)
        else:
            self.program.land(completion)

    def _count(self, completion: Completion) -> None:
        tokens = self._mean_tokens() if completion.tokens is None else completion.tokens
        self._tokens += tokens
        self._unknown_count += completion.tokens is None
        if completion.finish is Finish.FAILED:
            self._failed_count += 1
            self._fault = completion.error
        if completion.id in self._cut:
            self._cut_count += 1
            self._cut_tokens += tokens

    def _mean_tokens(self) -> int:
        """What an unknown branch is counted at: a server that does not stream does not tell what a cut one cost."""
        evidence = self.program.evidence
        return round(evidence.tokens / evidence.counted) if evidence.counted else 0

    def _end_gang(self, now: float) -> list[Effect]:
        gang, landed = self._gang, self._landed
        if gang.knob != len(gang.requests):
            self.program.knob += gang.knob
        self._landed, self._cut = {}, set()
        return self._advance([landed[request.id] for request in gang.requests if request.id in landed], now)

    def _advance(self, reply: Any, now: float) -> list[Effect]:
        """Run the program until it waits for completions or ends."""
        while True:
            try:
                step = self._execution.send(reply)
            except StopIteration as end:
                return [Finished(self._outcome(end.value, now))]
            if isinstance(step, Gang):
                return [self._submit(step)]
            if not isinstance(step, Claim):
                raise ProgramError(f"{type(self.program).__name__}.execute yielded {step!r}, not a claim or a gang")
            reply = self._grant().knob

    def _grant(self) -> Grant:
        self.program.update_certaindex()
        grant = self._allocator.grant(self.program.progress())
        self._balance = grant.knob
        if not grant:
            self._stopped_by = grant.reason
        return grant

    def _submit(self, gang: Gang) -> Submit:
        name = type(self.program).__name__
        if not gang.requests:
            raise ProgramError(f"{name}.execute yielded a gang without requests")
        if gang.knob < 0:
            raise ProgramError(f"{name}.execute turned its knob by {gang.knob}; it turns forwards, or not at all")
        if gang.knob > self._balance:
            raise ProgramError(f"{name}.execute turned its knob by {gang.knob} where {self._balance} was granted")
        self._balance -= gang.knob
        self._gang = gang
        self._in_flight = {request.id for request in gang.requests}
        return Submit(gang.requests)

    def _outcome(self, answer: Any, now: float) -> Outcome:
        self.program.update_certaindex()
        self._check(answer)
        return Outcome(
            answer,
            self.program.certaindex,
            self.program.knob,
            self._tokens,
            self._cut_tokens,
            self._cut_count,
            self._failed_count,
            self._stopped_by,
            self._started_at,
            now,
            self._fault,
            self._unknown_count,
        )

    def _check(self, answer: Any) -> None:
        """What a program gets wrong here would be written to a journal that nobody could read again."""
        name = type(self.program).__name__
        certaindex: Any = self.program.certaindex
        if not (answer is None or isinstance(answer, str)):
            raise ProgramError(f"{name}.execute returned {answer!r}; an answer is text, or None for none")
        if not (isinstance(certaindex, int | float) and 0.0 <= certaindex <= 1.0):
            raise ProgramError(f"{name}.update_certaindex set {certaindex!r}; certaindex is a number in [0, 1]")
