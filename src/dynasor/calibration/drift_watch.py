"""Looks over a run whose promise is watched: a share of its programs are shadows, and an alarm ends the policy.

After an alarm programs that have not started get even allocation; those that run keep what they started with. The
alarm is a record, so a resumed run has it too, and before it the tests are folded from the records of the programs.
"""

from collections import deque
from collections.abc import Iterable, Iterator

import msgspec

from dynasor.allocation.allocator import Allocator, InRounds
from dynasor.allocation.baselines import Even
from dynasor.allocation.progress import Policy
from dynasor.allocation.shadow import Shadow, is_shadow
from dynasor.calibration.drift import Compared, Drift, Expectation, Seen
from dynasor.journal.records import Alarmed, Landed, ProgramFinished, Record, Shadowed
from dynasor.programs.program import Program
from dynasor.runtime.overseer import Judged

EVEN = "even"


class DriftWatch:
    """Decides which programs are shadows, compares them, and raises the alarm."""

    def __init__(self, policy: Policy, expected: Expectation, *, share: float, seed: int, cap: int) -> None:
        """Watch a policy, with a share of the programs, drawn by the seed, as shadows; `cap` is the run's."""
        self._policy = policy
        self._drift = Drift(expected)
        self._share, self._seed, self._cap = share, seed, cap
        self._order: deque[str] = deque()  # programs come to and not looked at
        self._seen: dict[str, Seen] = {}  # ended, and waiting for those before them
        self._running: set[str] = set()  # started, in this part of the run or an earlier one, and not ended
        self._shadows: dict[str, Shadow] = {}
        self._on_even: set[str] = set()
        self._alarm: Alarmed | None = None

    def allocator(self, program: Program) -> Allocator:
        """The policy, as a shadow where the problem is among those; even allocation after an alarm."""
        if self._alarm is not None and program.id not in self._alarm.running:
            self._on_even.add(program.id)
            return InRounds(Even())
        self._running.add(program.id)
        if not is_shadow(program.id, self._share, self._seed):
            return InRounds(self._policy)
        ballot = program.evidence.ballot
        shadow = self._shadows[program.id] = Shadow(self._policy, lambda: ballot.majority)
        return InRounds(shadow)

    def recall(self, record: Record) -> None:
        """Take in what an earlier part of the run has seen."""
        match record:
            case Landed(completion=completion):
                self._running.add(completion.id.program)
            case ProgramFinished():
                self._running.discard(record.program)
                self._seen[record.program] = self._looked_at(record)
            case Alarmed():
                self._alarm = record

    def come_to(self, problem: str) -> Iterable[Record]:
        """Programs are looked at in the order of the problems."""
        self._order.append(problem)
        return self._look()

    def finished(self, record: ProgramFinished, judged: Judged) -> Iterator[Record]:
        """The program's record, with what the policy would have made of it; and the alarm, where this raises one."""
        self._running.discard(record.program)
        shadow = self._shadows.pop(record.program, None)
        if shadow is not None:
            record = msgspec.structs.replace(record, shadow=shadowed(shadow, record, judged))
        if record.program in self._on_even:
            self._on_even.remove(record.program)
            record = msgspec.structs.replace(record, policy=EVEN)
        yield record
        self._seen[record.program] = self._looked_at(record)
        yield from self._look()

    def stalled(self, problem: str) -> None:
        """Those behind it do not wait for it; it has started, so a resume leaves it its policy."""
        self._shadows.pop(problem, None)
        self._on_even.discard(problem)
        if problem in self._order:
            self._order.remove(problem)

    def _looked_at(self, record: ProgramFinished) -> Seen:
        shadow = record.shadow
        if shadow is None:
            return Seen(record.knob / self._cap)
        judged = record.correct is not None and shadow.correct is not None
        loss = record.correct - shadow.correct if judged else None  # type: ignore[operator]
        return Seen(shadow.knob / self._cap, Compared(loss, shadow.answer != record.answer))

    def _look(self) -> Iterable[Record]:
        """Look at all that have ended and have none before them that has not."""
        if self._alarm is not None:
            self._order.clear()
            self._seen.clear()
            return ()
        while self._order and self._order[0] in self._seen:
            self._drift.take(self._seen.pop(self._order.popleft()))
        if self._drift.alarm is None:
            return ()
        self._alarm = self._alarmed(self._drift.alarm)
        return (self._alarm,)

    def _alarmed(self, reason: str) -> Alarmed:
        drift, wager = self._drift, self._drift.wager(reason)
        return Alarmed(
            reason=reason,
            mean=wager.mean,
            most=wager.most,
            programs=drift.programs,
            shadows=drift.shadows,
            running=tuple(sorted(self._running)),
        )


def shadowed(shadow: Shadow, record: ProgramFinished, judged: Judged) -> Shadowed:
    """What a shadow program's policy would have made of it: the same, where it would not have stopped."""
    end = shadow.would_end
    if end is None:
        kept = {name: getattr(record, name) for name in Shadowed.__struct_fields__}
        return Shadowed(**kept)
    return Shadowed(
        answer=end.answer,
        correct=judged(end.answer),
        certaindex=end.progress.certaindex,
        knob=end.progress.knob,
        tokens=end.progress.tokens,
        stopped_by=end.reason,
    )
