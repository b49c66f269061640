"""Programs that a dashboard's fold is told of, played by hand: no engine, no socket, no clock."""

from types import SimpleNamespace
from typing import Any, cast

from dynasor.allocation.allocator import InFlight, InRounds
from dynasor.allocation.baselines import Even
from dynasor.allocation.progress import Grant, Policy, Progress, stop
from dynasor.answers.grouping import ByText
from dynasor.datasets.problem import Problem
from dynasor.gateway.asked import Asked
from dynasor.gateway.call import Call
from dynasor.gateway.dashboard.live import Live
from dynasor.gateway.exchange import Exchange
from dynasor.gateway.identity import NOBODY
from dynasor.gateway.observation import Seen
from dynasor.gateway.reasoning_wish import Wish
from dynasor.gateway.tenants import Tenant
from dynasor.programs.program import Program, Setup
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.programs.session import Effect, Finished
from dynasor.request import Completion, Finish, ProgramId, RequestId
from dynasor.runtime.contained import ContainedSession
from dynasor.runtime.events import BranchLanded, ProgramEnded, ProgramStalled, ProgramStarted
from dynasor.runtime.service import WITHDRAWN


def agreed(progress: Progress) -> Grant:
    """One after the other, and no more once three agree."""
    return stop("three agree") if progress.votes.leader >= 3 else Grant(1)


class Watched:
    """One program that a fold is told of."""

    def __init__(
        self, live: Live, id: str = "p", tenant: str = "team", cap: int = 4, *, policy: Policy | None = None,
        in_flight: bool = False, deadline: float | None = None, algorithm: type[Program] = SelfConsistency,
        now: float = 0.0, body: bytes = b"{}",
    ) -> None:  # fmt: skip
        self.live, self.id = live, id
        self.program = algorithm(Problem(id, "What is 1 + 1?"), Setup(cap=cap, grouping=ByText))
        allocator = InFlight(policy or Even()) if in_flight else InRounds(policy or Even())
        self.session = ContainedSession(self.program, allocator)
        self.exchange = cast(Exchange, SimpleNamespace(gone=False))
        owner = Tenant(name=tenant)
        asked = Asked(model="tiny@sc")
        self.call = Call(self.exchange, owner, asked, body, NOBODY, ProgramId("#0"), "/chat/completions", now)
        live.begin(self.call, Wish(model="tiny", algorithm="sc"), self.session, deadline, now)

    def start(self, now: float = 0.0) -> list[Effect]:
        """Its first requests are submitted."""
        self.live.take(ProgramStarted(self.program), now)
        return self.session.start(now)

    def land(self, index: int, answer: str | None, now: float = 1.0, **more: Any) -> list[Effect]:
        """A request has ended; as the dispatcher does it: the session learns of it, then whoever listens."""
        text = "hm" if answer is None else f"The answer is {answer}."
        given: dict[str, Any] = {"text": text, "tokens": 10} | more
        completion = Completion(id=RequestId(ProgramId(self.id), index), **given)
        effects = self.session.land(completion, now)
        self.live.take(BranchLanded(self.program, completion), now)
        for effect in effects:
            if isinstance(effect, Finished):
                self.live.take(ProgramEnded(self.program, effect.outcome), now)
        return effects

    def cut(self, index: int, now: float = 1.0) -> list[Effect]:
        """A request was cut."""
        return self.land(index, None, now, finish=Finish.CANCELLED, tokens=4, text="The ans")

    def stall(self, fault: str = WITHDRAWN, now: float = 1.0) -> None:
        """It ends without an answer."""
        self.live.take(ProgramStalled(self.program, fault), now)

    def leave(self, now: float = 1.0, *, gone: bool = True) -> None:
        """Its exchange ends."""
        self.exchange.gone = gone
        seen = Seen(self.exchange, "/v1/chat/completions", 0.0)
        seen.call = self.call
        self.live.ended(seen, now)

    def run(self, *answers: str, now: float = 1.0) -> "Watched":
        """From its start to its end."""
        self.start()
        for index, answer in enumerate(answers):
            self.land(index, answer, now)
        self.leave(now, gone=False)
        return self
