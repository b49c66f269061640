"""The third host: sessions and schedulers in virtual time, on modelled accelerators (paper 5.3, 6.1).

What is answered comes from recordings, when from the accelerators. It moves requests, completions and what a program
tells of its progress; it holds no policy. The same plan gives the same bytes.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from dynasor.programs.session import Cancel, Effect, Finished, Outcome, Session, Submit
from dynasor.request import Completion, Finish, ProgramId, Report, Request, RequestId
from dynasor.scheduling.estimate import expected_knob
from dynasor.simulation.answering import Answering, answering
from dynasor.simulation.fleet import Fault
from dynasor.simulation.kernel import Kernel, picoseconds
from dynasor.simulation.outcome import ProgramRow, SimulatedRun
from dynasor.simulation.paced import Paced
from dynasor.simulation.plan import PlannedProgram, SimulationPlan
from dynasor.simulation.requests import Served, SimulatedRequest
from dynasor.simulation.station import FrontedStation, Station, Work


@dataclass(slots=True, eq=False)
class _Running:
    """A program on its way."""

    planned: PlannedProgram
    session: Session
    answering: Answering
    station: Station
    arrived_at: float
    depth: int = -1
    started_at: float | None = None
    prefix_tokens: int = 0
    cached_tokens: int = 0
    preemptions: int = 0
    reissued: int = 0
    cut: set[RequestId] = field(default_factory=set)


def simulate(plan: SimulationPlan, on_request: Callable[[Served], object] | None = None) -> SimulatedRun:
    """Run a plan to its end.

    Args:
        plan: what comes, and who serves it.
        on_request: told of each request as it ends.

    Raises:
        UsageError: where a request would not fit into the memory of a replica.
        ProgramError: where a program breaks the rules of its interface.
    """
    return _Host(plan, on_request).run()


class _Host:
    def __init__(self, plan: SimulationPlan, on_request: Callable[[Served], object] | None) -> None:
        self._kernel = Kernel()
        self._on_request = on_request
        self._coming = iter(plan.programs)
        fleet = plan.fleet
        kind = Station if fleet.front_limit is None else FrontedStation
        self._stations = [kind(self._kernel, fleet, self._ended, self._grew) for _ in range(fleet.replicas)]
        self._faults = fleet.faults
        self._paced = Paced(plan.overload)
        self._request_ps = picoseconds(fleet.request_s)
        self._shares_prefixes = fleet.shares_prefixes
        self._running: dict[ProgramId, _Running] = {}
        self._stranded: list[tuple[_Running, SimulatedRequest]] = []  # nobody lives who could serve these
        self._rows: list[ProgramRow] = []
        self._request_count = 0

    def run(self) -> SimulatedRun:
        for fault in self._faults:
            self._schedule(fault)
        self._await_next()
        self._kernel.run()
        if self._running:
            raise AssertionError(f"{len(self._running)} programs were never answered")
        work = [station.work for station in self._stations]
        total = Work(**{name: sum(getattr(one, name) for one in work) for name in Work.__slots__})
        duration_s = max((row.ended_at for row in self._rows), default=0.0)
        return SimulatedRun(tuple(self._rows), total, len(self._stations), duration_s, self._request_count)

    def _await_next(self) -> None:
        """Only the next program is known: a plan may be a stream."""
        planned = next(self._coming, None)
        if planned is not None:
            self._kernel.at(picoseconds(planned.arrives_at), lambda: self._arrive(planned))

    def _arrive(self, planned: PlannedProgram) -> None:
        session, now = planned.session(), self._kernel.now_s
        running = _Running(planned, session, answering(planned), self._least_loaded(), now)
        if session.program.id in self._running:
            raise AssertionError(f"program {session.program.id} runs already; the ids of a plan differ")
        self._running[session.program.id] = running
        self._begin(running)
        self._paced.now(now)
        self._apply(running, session.start(now))
        self._await_next()

    def _least_loaded(self) -> Station:
        """All requests of a program go to one replica, which comes to hold their prefix."""
        up = [station for station in self._stations if station.is_up] or self._stations
        return min(up, key=lambda station: station.load)

    def _begin(self, running: _Running) -> None:
        """Tell the scheduler of its station, which knows nothing of it yet; one that is dead is told when it lives."""
        planned, program = running.planned, running.session.program
        if not running.station.is_up:
            return
        running.station.scheduler.begin(
            program.id,
            self._kernel.now_s,
            kind=planned.kind,
            remaining_knob=_remaining_knob(running.session),
            knob=program.knob,
            deadline=planned.deadline,
        )

    def _ended(self, served: Served) -> None:
        """A request has ended, of which a program learns when the answer has come to it."""
        if self._request_ps:
            self._kernel.at(self._kernel.now + self._request_ps, lambda: self._land(served))
        else:
            self._land(served)

    def _land(self, served: Served) -> None:
        if self._on_request is not None:
            self._on_request(served)
        self._paced.served(served)
        running = self._running[served.id.program]
        if served.admitted_at is not None:
            running.prefix_tokens += served.prompt_tokens
            running.cached_tokens += served.cached_tokens
            running.preemptions += served.preemptions
            if running.started_at is None or served.admitted_at < running.started_at:
                running.started_at = served.admitted_at
        running.cut.discard(served.id)
        self._take(running, running.answering.completion(served))

    def _grew(self, id: RequestId, tokens: int) -> None:
        """A chain has come to where it can be asked; the program learns of it when that has come to it."""
        self._kernel.at(self._kernel.now + self._request_ps, lambda: self._report(id, tokens))

    def _report(self, id: RequestId, tokens: int) -> None:
        running = self._running.get(id.program)
        if running is not None and running.answering.grew(tokens):
            now = self._kernel.now_s
            self._paced.now(now)
            self._apply(running, running.session.report(Report(id=id, text="", tokens=tokens), now))

    def _take(self, running: _Running, completion: Completion) -> None:
        now = self._kernel.now_s
        self._paced.now(now)
        self._apply(running, running.session.land(completion, now))

    def _apply(self, running: _Running, effects: Iterable[Effect]) -> None:
        program, scheduler = running.session.program, running.station.scheduler
        if program.id in scheduler.table:
            granted = running.session.granted
            scheduler.progress(
                program.id,
                self._kernel.now_s,
                remaining_knob=expected_knob(granted, program.setup.cap - program.knob, program.certaindex),
                knob=program.knob,
                granted=granted,
            )
        for effect in effects:
            match effect:
                case Submit(requests):
                    running.depth += 1
                    for request in requests:
                        self._submit(running, request)
                case Cancel(cut):
                    for id in cut:
                        running.cut.add(id)
                        self._cancel(running, id)
                case Finished(outcome):
                    self._end(running, outcome)

    def _submit(self, running: _Running, request: Request) -> None:
        planned, answer = running.planned, running.answering.ask(request)
        if isinstance(answer, Completion):
            self._kernel.at(self._kernel.now, lambda: self._take(running, answer))
            return
        asked = SimulatedRequest(
            id=request.id,
            prompt_tokens=planned.prompt_tokens + answer.prompt_tokens,
            output_tokens=max(1, answer.tokens),
            prefix=request.id.program if self._shares_prefixes else None,
            prefix_tokens=planned.prompt_tokens if self._shares_prefixes else 0,
            depth=running.depth,
            milestones=answer.milestones,
        )
        self._send(running, asked)

    def _send(self, running: _Running, request: SimulatedRequest) -> None:
        if running.station.is_up:
            self._request_count += 1
            running.station.submit(request)
        else:
            self._stranded.append((running, request))

    def _cancel(self, running: _Running, id: RequestId) -> None:
        if running.station.is_up:
            running.station.cancel(id)
        else:
            self._stranded = [entry for entry in self._stranded if entry[1].id != id]
            self._lose(running, id)

    def _end(self, running: _Running, outcome: Outcome) -> None:
        program, planned = running.session.program, running.planned
        del self._running[program.id]
        if self._paced.overload is not None:
            self._paced.overload.leave(program.id)
        running.station.scheduler.answered(program.id)
        running.station.scheduler.end(program.id, self._kernel.now_s)
        self._rows.append(
            ProgramRow(
                program=program.id,
                arrived_at=running.arrived_at,
                started_at=running.started_at,
                ended_at=outcome.finished_at,
                tokens=outcome.tokens,
                knob=outcome.knob,
                answer=outcome.answer,
                correct=planned.correct(outcome.answer),
                certaindex=outcome.certaindex,
                stopped_by=outcome.stopped_by,
                deadline=planned.deadline,
                even_tokens=planned.even_tokens,
                prefix_tokens=running.prefix_tokens,
                cached_tokens=running.cached_tokens,
                preemptions=running.preemptions,
                reissued=running.reissued,
            )
        )

    def _schedule(self, fault: Fault) -> None:
        station = self._stations[fault.replica]
        self._kernel.at(picoseconds(fault.dies_at), lambda: self._die(station))
        self._kernel.at(picoseconds(fault.back_at), lambda: self._come_back(station))

    def _die(self, station: Station) -> None:
        """Its programs go to those that live, and what they had asked is asked again."""
        lost = station.die()
        homeless = [running for running in self._running.values() if running.station is station]
        for running in homeless:
            self._move(running)
        for request in lost:
            running = self._running[request.id.program]
            if request.id in running.cut:
                self._lose(running, request.id)
            else:
                running.reissued += 1
                self._send(running, request)

    def _move(self, running: _Running) -> None:
        running.station = self._least_loaded()
        self._begin(running)

    def _come_back(self, station: Station) -> None:
        homeless = [running for running in self._running.values() if not running.station.is_up]
        stranded, self._stranded = self._stranded, []
        station.come_back()
        for running in homeless:
            self._move(running)
        for running, request in stranded:
            self._send(running, request)

    def _lose(self, running: _Running, id: RequestId) -> None:
        """A request that had been cut is gone with its replica."""
        running.cut.discard(id)
        gone = Completion(id=id, finish=Finish.CANCELLED)
        self._kernel.at(self._kernel.now, lambda: self._take(running, gone))


def _remaining_knob(session: Session) -> float:
    """What a program is expected to turn yet, as allocation and certaindex see it (paper 5.3.1)."""
    program = session.program
    return expected_knob(session.granted, program.setup.cap - program.knob, program.certaindex)
