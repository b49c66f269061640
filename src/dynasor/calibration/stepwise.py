"""What a labelled run of any algorithm says of every knob: the program is played again from the run's own journal.

A run of even allocation holds every shorter one, where what a program asks for does not depend on how much it is
granted at a time. So it is played knob by knob, and for each knob once more from the beginning, to be stopped there: it
answers with what it has. Nobody is asked.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

import msgspec

from dynasor.allocation.progress import CAP_REACHED, Grant, Progress, stop
from dynasor.calibration.profile import Path, judged
from dynasor.errors import UsageError
from dynasor.programs.probed import Probed
from dynasor.programs.program import Program
from dynasor.programs.session import Cancel, Effect, Outcome, Session, Submit
from dynasor.request import Completion, Finish, Report, Request, RequestId

Happened = Sequence[Completion | Report]
"""What a program's session was told, in order."""


class Untold(UsageError):
    """A journal does not tell what would have been answered with less."""


class _UpTo:
    """Grants one turn of the knob at a time, and stops the program at a knob."""

    watches = False

    def __init__(self, knob: int) -> None:
        self._knob = knob
        self.told: list[Progress] = []  # at every claim that was granted
        self.has_stopped = False

    def grant(self, progress: Progress) -> Grant:
        """One more, up to the knob."""
        if progress.remaining <= 0:
            return CAP_REACHED
        if progress.knob >= self._knob:
            self.has_stopped = True
            return stop("calibration")
        self.told.append(progress)
        return Grant(1)

    def cut(self, progress: Progress) -> bool:
        """Never."""
        return False


def came_to(make: Callable[[], Program], happened: Happened) -> tuple[str | None, int] | None:
    """The answer and the tokens of a program that is granted one turn at a time up to its cap.

    None where its run's journal does not hold what it asks for.
    """
    program = make()
    outcome = _Played(program, happened, program.setup.cap).outcome
    return None if outcome is None else (outcome.answer, outcome.tokens)


def stepwise(make: Callable[[], Program], happened: Happened) -> Path:
    """The path of one program from nothing to its end.

    What a cut request has cost is what it had last reported. A chain that is stopped unsettled is probed once more, on
    the text that was probed last: that probe's answer stands for both.

    Args:
        make: the program as it was at its start; its cap may be smaller than in its run.
        happened: in its run, of policy even.

    Raises:
        Untold: it asks for what never came.
        UsageError: its problem has no right answer.
    """
    program = make()
    whole = _Played(program, happened, program.setup.cap)
    told = _by_knob(whole.told)
    stops = [_Played(make(), happened, knob).outcome for knob in range(1, len(told))]
    ends = [end for end in (*stops, whole.outcome) if end is not None]
    if len(ends) < len(told):
        raise Untold(f"the journal does not hold what problem '{program.id}' asks for when it is granted less")
    verdicts = {answer: judged(program.problem, answer) for answer in {end.answer for end in ends}}
    last = replace(program.progress(), knob=len(told))
    return Path(
        (*told, last),
        (0.0, *(verdicts[end.answer] for end in ends)),
        (0, *(end.tokens for end in ends)),
        (ends[-1].answer is None, *(end.answer == ends[-1].answer for end in ends)),
    )


def _by_knob(told: Sequence[Progress]) -> list[Progress]:
    """What a policy is told at each knob from 0; at one that is passed over, what it is told next."""
    found: list[Progress] = []
    for progress in told:
        found += [progress] * (progress.knob + 1 - len(found))
        found[progress.knob] = progress
    return found


class _Played:
    """A program played from its journal and stopped at a knob.

    Attributes:
        told: what a policy would have been told where the program was granted more.
        outcome: None where the journal does not hold what the program asked for.
    """

    def __init__(self, program: Program, happened: Happened, knob: int) -> None:
        self.outcome: Outcome | None = None
        self._program = program
        self._allocator = _UpTo(knob)
        self._session = Session(program, self._allocator)
        self._waiting: dict[RequestId, Request] = {}
        self._early: defaultdict[RequestId, list[Completion | Report]] = defaultdict(list)  # not yet asked for
        self._reports: dict[RequestId, Report] = {}
        self._probes: dict[RequestId, Completion] = {}  # the last of each chain
        self._settle(self._session.start(0.0))
        self._play(happened)

    @property
    def told(self) -> list[Progress]:
        return self._allocator.told

    def _play(self, happened: Happened) -> None:
        for event in happened:
            if self.outcome is not None or self._allocator.has_stopped:
                return
            self._early[event.id].append(event)
            while ready := next((id for id in self._waiting if self._early.get(id)), None):
                self._take(self._early[ready].pop(0))

    def _take(self, event: Completion | Report) -> None:
        if isinstance(event, Report):
            self._reports[event.id] = event
            self._settle(self._session.report(event, 0.0))
        elif event.finish is not Finish.CANCELLED:
            self._land(event)

    def _land(self, completion: Completion) -> None:
        del self._waiting[completion.id]
        if isinstance(self._program, Probed) and (chain := self._program.chain_of(completion.id)):
            self._probes[chain.id] = completion
        self._settle(self._session.land(completion, 0.0))

    def _settle(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Submit):
                self._waiting |= {request.id: request for request in effect.requests}
            elif isinstance(effect, Cancel):
                for id in effect.requests:
                    self._cut(id)
            else:
                self.outcome = effect.outcome
        if self._allocator.has_stopped and isinstance(self._program, Probed):
            self._probe_again(self._program)

    def _cut(self, id: RequestId) -> None:
        del self._waiting[id]
        report = self._reports.get(id)
        cost = Completion(id=id, finish=Finish.CANCELLED, tokens=report.tokens if report else 0)
        self._settle(self._session.land(cost, 0.0))

    def _probe_again(self, program: Probed) -> None:
        for id in list(self._waiting):
            chain = program.chain_of(id)
            if chain is not None and chain.id in self._probes and id in self._waiting:
                self._land(msgspec.structs.replace(self._probes[chain.id], id=id))
