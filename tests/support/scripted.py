"""Sessions and an engine that do what they are told, in virtual time, for tests of the dispatcher."""

from collections.abc import Callable, Iterable, Sequence
from heapq import heapify, heappop, heappush

from dynasor.allocation.allocator import Allocator, InRounds
from dynasor.allocation.baselines import Even
from dynasor.answers.grouping import ByText
from dynasor.datasets.problem import Problem
from dynasor.programs.program import Program, Setup
from dynasor.programs.session import Session
from dynasor.programs.steps import Execution
from dynasor.request import Completion, Finish, Report, Request, RequestId
from dynasor.runtime.dispatcher import Dispatcher
from dynasor.runtime.events import Event
from support.scenario import ScriptedProgram


class Gangs(Program):
    """Yields gangs of the sizes that its question lists, whatever comes of them, and answers with their number."""

    def execute(self) -> Execution:
        yield self.claim()
        for size in map(int, self.problem.question.split()):
            yield self.gang(size)
        return str(len(self.branches))

    def answer_of(self, completion: Completion) -> str | None:
        return completion.text or None


def session_of(program: ScriptedProgram, allocator: Allocator | None = None) -> Session:
    question = " ".join(map(str, program.gangs))
    setup = Setup(cap=program.cap, grouping=ByText)
    return Session(Gangs(Problem(program.id, question, None), setup), allocator or InRounds(Even()))


class ScriptedEngine:
    """Every request takes as many seconds as it has tokens; it is its own clock. What it started, it remembers."""

    def __init__(self, tokens: Callable[[Request], int]) -> None:
        self._tokens = tokens
        self._now = 0.0
        self._due: list[tuple[float, int, RequestId]] = []
        self.running: dict[RequestId, tuple[Request, float]] = {}
        self._ended: list[Completion] = []
        self._reports: list[Report] = []
        self.started: list[RequestId] = []
        self.most_running = 0

    def now(self) -> float:
        return self._now

    async def sleep(self, duration_s: float) -> None:
        self._now += duration_s

    async def check(self) -> None:
        pass

    def submit(self, request: Request) -> None:
        assert request.id not in self.running, "nothing runs twice"
        self.started.append(request.id)
        self.running[request.id] = (request, self._now)
        self.most_running = max(self.most_running, len(self.running))
        heappush(self._due, (self._now + self._tokens(request), len(self.started), request.id))

    def cancel(self, id: RequestId) -> None:
        self.end(id, Finish.CANCELLED)

    def end(self, id: RequestId, finish: Finish, *, retryable: bool = False) -> None:
        """End a request now; one that does not run is passed over."""
        if id not in self.running:
            return
        _, began = self.running.pop(id)
        self._due = [due for due in self._due if due[2] != id]
        heapify(self._due)
        error = "503 busy" if finish is Finish.FAILED else None
        tokens = int(self._now - began)
        self._ended.append(Completion(id=id, text="7", finish=finish, tokens=tokens, error=error, retryable=retryable))

    def report(self, id: RequestId) -> None:
        """Tell how far a request is."""
        if id in self.running:
            tokens = int(self._now - self.running[id][1])
            self._reports.append(Report(id=id, text="7" * tokens, tokens=tokens))

    def take_reports(self) -> list[Report]:
        reports, self._reports = self._reports, []
        return reports

    def pass_to(self, instant: float) -> None:
        """Let time go on to an instant, and whatever is due by then end, but not be told of."""
        while self._due and self._due[0][0] <= instant:
            self._now, _, id = heappop(self._due)
            _, began = self.running.pop(id)
            self._ended.append(Completion(id=id, text="7", tokens=round(self._now - began)))
        self._now = max(self._now, instant)

    @property
    def next_end(self) -> float | None:
        """When the next request ends by itself."""
        return self._due[0][0] if self._due else None

    async def ready(self) -> Sequence[Completion]:
        if not self._ended and not self._reports and self._due:
            self.pass_to(self._due[0][0])
        ended, self._ended = self._ended, []
        return ended

    async def close(self) -> None:
        pass


async def play(
    dispatcher: Dispatcher, engine: ScriptedEngine, programs: Iterable[ScriptedProgram]
) -> tuple[list[Event], dict[str, float]]:
    """Let programs arrive at their instants, and run to the end; gives all events, and when each program ended."""
    arrivals = sorted(programs, key=lambda program: program.arrives_at)
    events: list[Event] = []
    ended: dict[str, float] = {}
    running: set[str] = set()
    while arrivals or not dispatcher.idle:
        end = engine.next_end
        if arrivals and (end is None or arrivals[0].arrives_at < end):
            program = arrivals.pop(0)
            engine.pass_to(program.arrives_at)
            running.add(program.id)
            dispatcher.start(session_of(program))
        else:
            events += await dispatcher.step()
        left = {session.program.id for session in dispatcher.sessions}
        ended |= {id: engine.now() for id in running - left - ended.keys()}
    return events, ended
