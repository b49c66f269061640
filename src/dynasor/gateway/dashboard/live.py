"""The programs of a gateway, now and a little while back: a bounded fold over events. It is handed `now`.

It holds what lives and what ended lately, within bounds for each tenant and for all, and numbers of all that ever was.
Who watches asks for what has changed since it last did: nothing is kept for anybody who watches.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Iterator

from dynasor.gateway.call import Call
from dynasor.gateway.dashboard.live_program import LiveProgram, Origin, State
from dynasor.gateway.dashboard.totals import Totals
from dynasor.gateway.observation import Seen
from dynasor.gateway.reasoning_wish import Wish
from dynasor.gateway.saving import saved_tokens
from dynasor.programs.program import Program
from dynasor.programs.session import Outcome
from dynasor.runtime.contained import ContainedSession
from dynasor.runtime.events import BranchGrew, BranchLanded, Event, ProgramEnded, ProgramStalled, ProgramStarted
from dynasor.runtime.service import WITHDRAWN

MOST = 512
"""Programs that are known, living and ended."""
MOST_ENDED = 50
"""Of one tenant, those that ended latest."""
MOST_CHARACTERS = 8 << 20
"""Of the texts of programs that have ended; what lives is held by those who run it."""
_LONGEST_POLICY = 80
_NO_POLICY = "default"


class Live:
    """All that is known.

    Attributes:
        version: grows with every change.
    """

    def __init__(self, *, texts: bool = True, most: int = MOST, most_ended: int = MOST_ENDED) -> None:
        """Nothing is known; `texts`: whether prompts and answers are kept."""
        self.version = 0
        self._texts, self._most, self._most_ended = texts, most, most_ended
        self._programs: OrderedDict[str, LiveProgram] = OrderedDict()  # what changed last is last
        self._of_call: dict[Call, LiveProgram] = {}
        self._totals: defaultdict[str, Totals] = defaultdict(Totals)
        self._ended: defaultdict[str, OrderedDict[str, LiveProgram]] = defaultdict(OrderedDict)  # by tenant
        self._sizes: OrderedDict[str, int] = OrderedDict()  # characters that are kept of what has ended
        self._size = 0

    def __len__(self) -> int:
        return len(self._programs)

    def begin(self, call: Call, wish: Wish, session: ContainedSession, deadline: float | None, now: float) -> None:
        """A call is about to be answered by a program, which may have to wait."""
        program = session.program
        origin = Origin(
            tenant=call.tenant.name,
            model=wish.model or "",
            algorithm=wish.algorithm,
            policy=(wish.policy or _NO_POLICY)[:_LONGEST_POLICY],
            asked_at=now,
            due_at=deadline,
        )
        kept = program if self._texts else None
        known = LiveProgram(program.id, origin, program.setup.cap, session, kept, len(call.body))
        if len(self._programs) >= self._most and not self._crowd_out():
            return
        self._programs[known.id] = self._of_call[call] = known
        self._totals[origin.tenant].waiting += 1
        self._touch(known)

    def take(self, event: Event | ProgramStarted, now: float) -> None:
        """Something has happened to a program; of one that is not known here nothing is kept."""
        known = self._programs.get(event.program.id)
        if known is None or known.state.is_over:
            return
        match event:
            case BranchGrew(program, report):
                known.grow(program, report)
            case BranchLanded(program, completion):
                known.land(program, completion, now)
            case ProgramEnded(program, outcome):
                self._finish(known, program, outcome, now)
            case ProgramStalled(_, fault):
                self._end(known, State.WITHDRAWN if fault == WITHDRAWN else State.FAILED, now)
            case ProgramStarted():  # pragma: no branch  (there is no other event)
                self._count(known, -1)
                known.start(now)
                self._count(known, 1)
        self._touch(known)

    def ended(self, seen: Seen, now: float) -> None:
        """An exchange has ended, and with it its program, if nobody has told so before: it never began."""
        if seen.call is None or (known := self._of_call.pop(seen.call, None)) is None:
            return
        if not known.state.is_over:
            self._end(known, State.WITHDRAWN if seen.exchange.gone else State.FAILED, now)
            self._touch(known)

    def find(self, id: str) -> LiveProgram | None:
        """A program by its id."""
        return self._programs.get(id)

    def since(self, version: int, tenant: str | None) -> Iterator[LiveProgram]:
        """What has changed since, of a tenant or of all, the latest first."""
        for known in reversed(self._programs.values()):
            if known.version <= version:
                return
            if tenant is None or known.origin.tenant == tenant:
                yield known

    def totals(self, tenant: str | None) -> Totals:
        """Of a tenant, or of all."""
        return Totals.of(self._totals.values() if tenant is None else [self._totals[tenant]])

    def _finish(self, known: LiveProgram, program: Program, outcome: Outcome, now: float) -> None:
        saved = saved_tokens(program, outcome)
        known.finish(program, outcome, saved)
        self._totals[known.origin.tenant].finish(outcome, saved)
        self._end(known, State.FINISHED, now)

    def _end(self, known: LiveProgram, state: State, now: float) -> None:
        self._count(known, -1)
        known.end(state, now)
        self._count(known, 1)
        totals, due_at = self._totals[known.origin.tenant], known.origin.due_at
        if due_at is not None and state is not State.WITHDRAWN:  # one that nobody waits for has missed nothing
            in_time = state is State.FINISHED and now <= due_at
            totals.met += in_time
            totals.missed += not in_time
        self._keep(known)

    def _count(self, known: LiveProgram, step: int) -> None:
        totals = self._totals[known.origin.tenant]
        setattr(totals, known.state.value, getattr(totals, known.state.value) + step)

    def _touch(self, known: LiveProgram) -> None:
        self.version += 1
        known.version = self.version
        if known.id in self._programs:
            self._programs.move_to_end(known.id)

    def _keep(self, known: LiveProgram) -> None:
        """Keep what has ended within the bounds."""
        ended = self._ended[known.origin.tenant]
        ended[known.id] = known
        if len(ended) > self._most_ended:
            self._drop(next(iter(ended.values())))
        self._sizes[known.id] = known.text_size
        self._size += known.text_size
        while self._size > MOST_CHARACTERS:
            self._programs[self._forget_size()].forget_texts()

    def _forget_size(self) -> str:
        id, size = self._sizes.popitem(last=False)
        self._size -= size
        return id

    def _crowd_out(self) -> bool:
        """Make room: the tenant of which most is kept gives the oldest; False where all live."""
        fullest = max(self._ended.values(), key=len, default=None)
        if not fullest:
            return False
        self._drop(next(iter(fullest.values())))
        return True

    def _drop(self, known: LiveProgram) -> None:
        del self._programs[known.id], self._ended[known.origin.tenant][known.id]
        if (size := self._sizes.pop(known.id, None)) is not None:
            self._size -= size
