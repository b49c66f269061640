"""What has come of programs so far, in numbers: tokens spent and saved, stops, certaindex, deadlines.

It listens to the services that run programs. Of a program it knows what made it, as long as it lives; it knows no
exposition format.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple
from weakref import WeakKeyDictionary

from dynasor.allocation.overload import Overload
from dynasor.clock import Clock
from dynasor.gateway.counting import SECONDS, SHARES, Distribution, Few
from dynasor.gateway.reasoning import Sessions
from dynasor.gateway.reasoning_question import Question
from dynasor.gateway.reasoning_settings import ReasoningSettings
from dynasor.gateway.reasoning_wish import Wish
from dynasor.gateway.saving import saved_tokens
from dynasor.programs.program import Program
from dynasor.programs.session import Outcome
from dynasor.request import Completion
from dynasor.runtime.contained import ContainedSession
from dynasor.runtime.events import BranchLanded, Event, ProgramEnded, ProgramStalled, ProgramStarted
from dynasor.runtime.service import WITHDRAWN

OWN_POLICY = "default"
"""The policy of an algorithm where nobody asks for another."""
FITTED_POLICY = "calibrated"
"""One from a file that `dynasor calibrate` wrote."""


class Kind(NamedTuple):
    """The labels of a program; `policy` is its rules' names, without their settings."""

    algorithm: str
    policy: str


class _Made(NamedTuple):
    """A program's kind, and the instant at which its answer is due."""

    kind: Kind
    due_at: float | None


@dataclass(slots=True)
class Ended:
    """Numbers of programs of one kind.

    Attributes:
        tokens: spent by those that finished, on all of their branches and probes; of these, `cut_tokens` on branches
            that were cut.
        even_tokens: what even allocation would have spent, where that is known (`saving.saved_tokens`).
        saved_tokens: by those that spent less than that; `overspent_tokens`: by those that spent more.
    """

    finished: int = 0
    withdrawn: int = 0
    failed: int = 0
    tokens: int = 0
    cut_tokens: int = 0
    even_tokens: int = 0
    saved_tokens: int = 0
    overspent_tokens: int = 0
    latency: Distribution = field(default_factory=partial(Distribution, SECONDS))
    certaindex: Distribution = field(default_factory=partial(Distribution, SHARES))


@dataclass(slots=True)
class Landed:
    """Numbers of branches and probes that ended in one way."""

    branches: int = 0
    tokens: int = 0


class ProgramCounts:
    """All that has been counted.

    Attributes:
        ended: by kind.
        landed: by how a branch ended.
        stops: by reason, of programs that finished.
        deadlines: of programs that have one, whether they finished in time.
    """

    def __init__(self, settings: ReasoningSettings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self.ended: defaultdict[Kind, Ended] = defaultdict(Ended)
        self.landed: defaultdict[str, Landed] = defaultdict(Landed)
        self.stops: defaultdict[str, int] = defaultdict(int)
        self.deadlines: defaultdict[bool, int] = defaultdict(int)
        self._policies, self._reasons = Few(), Few()
        self._made: WeakKeyDictionary[Program, _Made] = WeakKeyDictionary()

    def sessions(self, make: Sessions) -> Sessions:
        """The same maker of sessions; what each is made of is kept in mind."""

        def made(
            id: str, wish: Wish, question: Question, most: int | None, due: tuple[Overload, float] | None
        ) -> ContainedSession:
            session = make(id, wish, question, most, due)
            due_at = None if due is None else self._clock.now() + due[1]
            self._made[session.program] = _Made(Kind(wish.algorithm, self._policy(wish)), due_at)
            return session

        return made

    def take(self, event: Event | ProgramStarted) -> None:
        """Something has happened to a program."""
        match event:
            case BranchLanded(_, completion):
                self._land(completion)
            case ProgramEnded(program, outcome):
                self._end(program, outcome)
            case ProgramStalled(program, fault):
                self._stall(program, fault)

    def _land(self, completion: Completion) -> None:
        landed = self.landed[completion.finish.value]
        landed.branches += 1
        landed.tokens += completion.tokens or 0

    def _end(self, program: Program, outcome: Outcome) -> None:
        kind, due_at = self._of(program)
        ended = self.ended[kind]
        ended.finished += 1
        ended.tokens += outcome.tokens
        ended.cut_tokens += outcome.cut_tokens
        if (saved := saved_tokens(program, outcome)) is not None:
            ended.even_tokens += outcome.tokens + saved
            ended.saved_tokens += max(0, saved)
            ended.overspent_tokens += max(0, -saved)
        ended.latency.add(outcome.finished_at - outcome.started_at)
        ended.certaindex.add(outcome.certaindex)
        self.stops[self._reasons(outcome.stopped_by)] += 1
        if due_at is not None:
            self.deadlines[self._clock.now() <= due_at] += 1

    def _stall(self, program: Program, fault: str) -> None:
        """One that nobody waits for any more has missed nothing."""
        kind, due_at = self._of(program)
        if fault == WITHDRAWN:
            self.ended[kind].withdrawn += 1
            return
        self.ended[kind].failed += 1
        if due_at is not None:
            self.deadlines[False] += 1

    def _of(self, program: Program) -> _Made:
        return self._made.get(program) or _Made(Kind(type(program).__name__, OWN_POLICY), None)

    def _policy(self, wish: Wish) -> str:
        own = self._settings.policy if wish.algorithm == self._settings.algorithm else ""
        told = wish.policy or own
        if told.endswith(".toml"):
            return FITTED_POLICY
        names = (part.partition(":")[0].strip() for part in told.split("+"))
        return self._policies("+".join(names)) if told else OWN_POLICY
