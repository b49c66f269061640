"""One program with one allocator: a pure core (paper 5.2.1).

It is told that it starts and what has landed, and returns effects: requests to start, requests to cut, the outcome.
It waits for nothing, reads no clock and holds no lock, so the same session runs live, replayed and in virtual time.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from dynasor.allocation.allocator import Allocator
from dynasor.allocation.progress import Grant
from dynasor.errors import ProgramError
from dynasor.programs.ledger import Ledger
from dynasor.programs.program import Program
from dynasor.programs.steps import Claim, Cut, Gang, Growth, Stream
from dynasor.programs.streams import Streams
from dynasor.request import Completion, Finish, Report, Request, RequestId

EXHAUSTED = "the program"
"""What stopped a program that ended by itself, without being denied anything."""


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
        self._in_flight: set[RequestId] = set()  # of the gang
        self._cut: set[RequestId] = set()
        self._dropped: set[RequestId] = set()  # those that the program itself cut: they turn the knob all the same
        self._landed: dict[RequestId, Completion] = {}
        self._streams = Streams()
        self._ledger = Ledger()
        self._balance = 0  # granted knob that is not yet spent
        self._goal = 0  # the knob up to which was granted
        self._stopped_by = EXHAUSTED
        self._started_at = 0.0
        self._answer: list[Any] = []  # of a program that has come to its end while streams still run

    @property
    def in_flight_count(self) -> int:
        """Requests that were submitted and have not landed."""
        return len(self._in_flight) + len(self._streams.running)

    @property
    def granted(self) -> int:
        """Knob that is granted and will be turned for certain: none where what is in flight may yet be cut."""
        return 0 if self._allocator.watches else max(0, self._goal - self.program.knob)

    def start(self, now: float) -> list[Effect]:
        """Begin; `now` is in seconds."""
        self._started_at = now
        return self._advance(None, now)

    def land(self, completion: Completion, now: float) -> list[Effect]:
        """Take in the end of one request in flight.

        Raises:
            ProgramError: if that request is not in flight.
        """
        if completion.id in self._streams.running:
            return self._land_stream(completion, now)
        if completion.id not in self._in_flight:
            raise ProgramError(f"request {completion.id.index} of program {completion.id.program} is not in flight")
        self._in_flight.remove(completion.id)
        self._ledger.enter(completion, self._mean_tokens, cut=completion.id in self._cut)
        ended = completion.id not in self._cut and completion.finish is not Finish.CANCELLED
        if ended or completion.id in self._dropped:
            self._fold(completion)
        if not self._in_flight:
            return self._end_gang(now)
        if self._allocator.watches and not self._in_flight <= self._cut:
            return self._reconsider()
        return []

    def report(self, report: Report, now: float) -> list[Effect]:
        """Take in what a request that runs has generated so far; one that is not in flight is passed over."""
        if report.id in self._streams.running:
            self._streams.report(report)
            return self._go_on(now)
        if report.id in self._in_flight - self._cut and self.program.observe(report):
            self._cut.add(report.id)
            self._dropped.add(report.id)
            return [Cancel((report.id,))]
        return []

    def _land_stream(self, completion: Completion, now: float) -> list[Effect]:
        cut = self._streams.was_cut(completion.id)
        self._ledger.enter(completion, self._mean_tokens, cut=cut)
        self._streams.land(completion)
        if not cut and completion.finish.is_whole:
            self.program.land(completion)
        return self._end(now) if self._answer else self._go_on(now)

    def _go_on(self, now: float) -> list[Effect]:
        """Run the program on if it waited for just this growth."""
        grown = self._streams.take_growth()
        return [] if grown is None else self._advance(grown, now)

    def _reconsider(self) -> list[Effect]:
        self.program.update_certaindex()
        if not self._allocator.cut(self.program.progress()):
            return []
        fresh = self._in_flight - self._cut
        self._cut |= fresh
        return [Cancel(tuple(sorted(fresh)))]

    def _fold(self, completion: Completion) -> None:
        if self._gang.knob == len(self._gang.requests):
            self.program.knob += 1
        if completion.finish is Finish.FAILED or completion.id in self._dropped:
            self.program.evidence.ballot.abstain(completion.id.index)
        if completion.id not in self._dropped:
            self._landed[completion.id] = completion
        if completion.finish.is_whole and completion.id not in self._dropped:
            self.program.land(completion)

    def _mean_tokens(self) -> int:
        """What an unknown branch is counted at: a server that does not stream does not tell what a cut one cost."""
        evidence = self.program.evidence
        return round(evidence.tokens / evidence.counted) if evidence.counted else 0

    def _end_gang(self, now: float) -> list[Effect]:
        gang, landed = self._gang, self._landed
        if gang.knob != len(gang.requests):
            self.program.knob += gang.knob
        self._landed, self._cut, self._dropped = {}, set(), set()
        return self._advance([landed[request.id] for request in gang.requests if request.id in landed], now)

    def _advance(self, reply: Any, now: float) -> list[Effect]:
        """Run the program until it waits for completions or for growth, or ends."""
        effects: list[Effect] = []
        while True:
            try:
                step = self._execution.send(reply)
            except StopIteration as end:
                return [*effects, *self._leave(end.value, now)]
            reply = None
            if isinstance(step, Claim):
                reply = self._grant().knob
            elif isinstance(step, Gang):
                return [*effects, self._submit(step)]
            elif isinstance(step, Growth):
                self._streams.wait(self._known(step.requests))
                reply = self._streams.take_growth()
                if reply is None:
                    return effects
            else:
                effects += self._beside(step)

    def _beside(self, step: Stream | Cut) -> list[Effect]:
        """What a program does with its streams does not hold it up."""
        if isinstance(step, Stream):
            self._streams.start(step.requests)
            return [Submit(step.requests)] if step.requests else []
        if not isinstance(step, Cut):
            raise ProgramError(f"{self._name}.execute yielded {step!r}, which is no step of a program")
        return self._cut_streams(self._known(step.requests))

    def _leave(self, answer: Any, now: float) -> list[Effect]:
        """The program has come to its end; streams that it left running are cut."""
        self._answer = [answer]
        return [*self._cut_streams(self._streams.running), *self._end(now)]

    @property
    def _name(self) -> str:
        return type(self.program).__name__

    def _known(self, ids: tuple[RequestId, ...]) -> tuple[RequestId, ...]:
        for id in ids:
            if id not in self._streams:
                raise ProgramError(f"{self._name}.execute names request {id.index}, which is no stream that it started")
        return ids

    def _cut_streams(self, ids: Iterable[RequestId]) -> list[Effect]:
        fresh = self._streams.cut(ids)
        return [Cancel(fresh)] if fresh else []

    def _grant(self) -> Grant:
        self.program.update_certaindex()
        grant = self._allocator.grant(self.program.progress())
        self._balance = grant.knob
        self._goal = self.program.knob + grant.knob
        if not grant:
            self._stopped_by = grant.reason
        return grant

    def _submit(self, gang: Gang) -> Submit:
        if not gang.requests:
            raise ProgramError(f"{self._name}.execute yielded a gang without requests")
        if gang.knob < 0:
            raise ProgramError(f"{self._name}.execute turned its knob by {gang.knob}; it turns forwards, or not at all")
        if gang.knob > self._balance:
            raise ProgramError(f"{self._name}.execute turned its knob by {gang.knob} where {self._balance} was granted")
        self._balance -= gang.knob
        self._gang = gang
        self._in_flight = {request.id for request in gang.requests}
        return Submit(gang.requests)

    def _end(self, now: float) -> list[Effect]:
        """The outcome, once what the program left running has told what it cost."""
        return [] if self._streams.running else [Finished(self._outcome(self._answer[0], now))]

    def _outcome(self, answer: Any, now: float) -> Outcome:
        self.program.update_certaindex()
        self._check(answer)
        ledger = self._ledger
        return Outcome(
            answer,
            self.program.certaindex,
            self.program.knob,
            ledger.tokens,
            ledger.cut_tokens,
            ledger.cut_count,
            ledger.failed_count,
            self._stopped_by,
            self._started_at,
            now,
            ledger.fault,
            ledger.unknown_count,
        )

    def _check(self, answer: Any) -> None:
        """What a program gets wrong here would be written to a journal that nobody could read again."""
        name = self._name
        certaindex: Any = self.program.certaindex
        if not (answer is None or isinstance(answer, str)):
            raise ProgramError(f"{name}.execute returned {answer!r}; an answer is text, or None for none")
        if not (isinstance(certaindex, int | float) and 0.0 <= certaindex <= 1.0):
            raise ProgramError(f"{name}.update_certaindex set {certaindex!r}; certaindex is a number in [0, 1]")
