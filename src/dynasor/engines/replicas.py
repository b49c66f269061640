"""An engine over several servers of one model: what one of them loses, another one is asked for.

It moves requests and completions. Where a request goes is decided in `replica_placement`, whether a replica is asked at
all in `replica_breaker`, what is asked again in `replica_calls`, and all of it by the figures of `replica_policy`.
It knows no HTTP.
"""

import asyncio
from collections.abc import Iterable, Sequence

from dynasor.clock import Clock, WallClock
from dynasor.engines.engine import Engine, Reporting
from dynasor.engines.outbox import Outbox
from dynasor.engines.replica import HealthCheck, Replica, ReplicaState, model_of
from dynasor.engines.replica_breaker import Breaker, BreakerState
from dynasor.engines.replica_calls import Call
from dynasor.engines.replica_faults import Verdict, verdict
from dynasor.engines.replica_outage import Outage
from dynasor.engines.replica_placement import Placement
from dynasor.engines.replica_policy import ReplicaPolicy
from dynasor.errors import UsageError
from dynasor.request import Completion, Finish, Report, Request, RequestId

_DEFAULT = ReplicaPolicy()


class ReplicatedEngine:
    """Implements `dynasor.engines.engine.Reporting`; reports as the engines within do. Used within one event loop.

    A request that a replica loses (it fails, and might succeed; or the replica is taken for dead) is issued again at
    another one, or at the same once that has passed a health check. It goes on behind the last report of it, where
    there is one and nothing is drawn with a seed or measured token by token; else it starts anew. What lost attempts
    had generated counts as spent. Where no replica is left, requests wait for one, and fail in the end as in an outage.
    """

    def __init__(
        self,
        engines: Sequence[tuple[str, Engine]],
        *,
        policy: ReplicaPolicy = _DEFAULT,
        clock: Clock | None = None,
        health: Sequence[HealthCheck] | None = None,
    ) -> None:
        """Nothing is asked of anybody before `check`.

        Args:
            engines: what each is called, and what answers there; each makes few attempts of its own.
            policy: see `ReplicaPolicy`.
            clock: waits between health checks.
            health: the health check of each; None: its `check`, which must then bear to be called again.

        Raises:
            UsageError: there is none, or two have one name.
        """
        names = [name for name, _ in engines]
        if not engines or len(set(names)) < len(names):
            raise UsageError(f"replicas need one name each: {', '.join(names) or 'there are none'}")
        checks = health or [engine.check for _, engine in engines]
        self._policy = policy
        self._clock = clock or WallClock()
        self._replicas = [
            Replica(name, engine, check, Breaker(policy)) for (name, engine), check in zip(engines, checks, strict=True)
        ]
        self._placement = Placement(policy)
        self._calls: dict[RequestId, Call] = {}
        self._waiting: dict[RequestId, Call] = {}
        self._outbox = Outbox()
        self._tasks: list[asyncio.Task[None]] = []
        self._at_work = asyncio.Event()  # set while there are requests
        self._outage = Outage(policy.patience_s)
        self._model: str | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"ReplicatedEngine({', '.join(replica.name for replica in self._replicas)})"

    @property
    def model(self) -> str | None:
        """The model of all replicas, once checked; None where nobody tells."""
        return self._model

    @property
    def states(self) -> tuple[ReplicaState, ...]:
        """What there is to see of each replica, in the order in which they were given."""
        return tuple(replica.snapshot for replica in self._replicas)

    @property
    def waiting_count(self) -> int:
        """Requests that are at no replica."""
        return len(self._waiting)

    async def check(self) -> None:
        """Check every replica; whoever is not there is better left out than waited for.

        Raises:
            UsageError: one of them cannot work, or two have different models.
            EngineError: one of them is out of order.
        """
        for replica in self._replicas:
            await replica.engine.check()
        self._model = model_of(self._replicas)

    def submit(self, request: Request) -> None:
        """Start a request, or have it wait for a replica.

        Raises:
            UsageError: a request of this id is running.
        """
        if request.id in self._calls:
            raise UsageError(f"request {request.id.index} of program '{request.id.program}' is running already")
        call = Call(request)
        if self._closed:
            self._outbox.put(call.unanswered(Finish.FAILED, "the engine is closed"))
            return
        self._run()
        self._calls[request.id] = self._waiting[request.id] = call
        self._at_work.set()
        self._place(call)

    def cancel(self, id: RequestId) -> None:
        """Cut a request at its replica; one that waits ends at once."""
        call = self._calls.get(id)
        if call is None:
            return
        call.cut = True
        if id in self._waiting:
            self._end(call, call.unanswered(Finish.CANCELLED))
        elif call.replica is not None:
            self._replicas[call.replica].engine.cancel(id)

    async def ready(self) -> Sequence[Completion]:
        """Wait until a request has ended or reported; after `close`, give what is left without waiting."""
        return await self._outbox.ready()

    def take_reports(self) -> list[Report]:
        """Give the reports that were not yet taken."""
        return self._outbox.take_reports()

    async def close(self) -> None:
        """Cut what runs or waits (`ready` still gives those completions), and close all replicas."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for call in self._calls.values():
            call.cut = True
        try:
            for replica in self._replicas:
                await replica.engine.close()
                if replica.calls:
                    self._take(replica, await replica.engine.ready())
        finally:
            for call in [*self._calls.values()]:
                self._end(call, call.unanswered(Finish.CANCELLED))
            self._outbox.close()

    def _run(self) -> None:
        """Listen to every replica, and watch over it; where one of these tasks broke down, anew."""
        if not self._tasks:
            for index in range(len(self._replicas)):
                self._tasks += [self._begin_listening(index), self._begin_watching(index)]

    def _begin_listening(self, index: int) -> asyncio.Task[None]:
        task = asyncio.ensure_future(self._listen(self._replicas[index]))
        task.add_done_callback(lambda ended: self._mend(index, ended))
        return task

    def _mend(self, index: int, ended: asyncio.Task[None]) -> None:
        """A replica's engine broke its contract by raising: its requests end, and it may go on with others."""
        if ended.cancelled() or (bug := ended.exception()) is None:
            return
        replica, told = self._replicas[index], f"fault in the engine itself: {type(bug).__name__}: {bug}"
        self._tasks[2 * index] = self._begin_listening(index)
        replica.blame(told)
        replica.breaker.fail(self._clock.now())
        for id in [*replica.calls]:
            call = replica.end(id)
            replica.engine.cancel(id)
            self._end(call, call.whole(Completion(id=id, finish=Finish.FAILED, error=told)))
        self._place_all()

    def _begin_watching(self, index: int) -> asyncio.Task[None]:
        task = asyncio.ensure_future(self._watch(index))
        task.add_done_callback(lambda ended: self._watch_on(index, ended))
        return task

    def _watch_on(self, index: int, ended: asyncio.Task[None]) -> None:
        """A health check broke its contract by raising: it has failed, and others follow."""
        if ended.cancelled() or (bug := ended.exception()) is None:
            return
        self._tasks[2 * index + 1] = self._begin_watching(index)
        self._fail_check(self._replicas[index], f"fault in the health check itself: {type(bug).__name__}: {bug}")

    async def _listen(self, replica: Replica) -> None:
        """Take what a replica's engine tells, while there is anything at it."""
        while True:
            await replica.busy.wait()
            ended = await replica.engine.ready()
            self._hear(replica)
            self._take(replica, ended)

    async def _watch(self, index: int) -> None:
        """Look after a replica's health, while there are any requests."""
        replica = self._replicas[index]
        while True:
            await self._at_work.wait()
            await self._clock.sleep(self._policy.check_every_s)
            fault = await replica.examine(self._policy.check_limit_s)
            fault = fault or self._changed_model(replica)
            if fault is None:
                replica.breaker.pass_check(self._clock.now())
                self._place_all()
                self._lose_patience()
            else:
                self._fail_check(replica, fault)

    def _fail_check(self, replica: Replica, fault: str) -> None:
        replica.blame(fault)
        if replica.breaker.fail_check(self._clock.now()):
            self._withdraw(replica)
        self._place_all()
        self._lose_patience()

    def _changed_model(self, replica: Replica) -> str | None:
        """What is wrong with a server that came back as another one; nothing, where nobody has checked what it was."""
        now, due = replica.model, self._model
        return None if due is None or now == due else f"it has the model '{now}' by now, and had '{due}'"

    def _hear(self, replica: Replica) -> None:
        if isinstance(replica.engine, Reporting):
            for report in replica.engine.take_reports():
                if (call := replica.calls.get(report.id)) is not None:
                    self._outbox.report(call.report(report))

    def _take(self, replica: Replica, ended: Iterable[Completion]) -> None:
        for completion in ended:
            if completion.id not in replica.calls:  # it ended when the engine broke down
                continue
            call = replica.end(completion.id)
            found = verdict(completion)
            self._learn(replica, found, completion)
            if self._is_lost(call, found, completion):
                self._lose(replica, call, completion.tokens)
            else:
                self._end(call, call.whole(completion))
        self._place_all()

    def _learn(self, replica: Replica, found: Verdict, completion: Completion) -> None:
        if found is Verdict.ANSWERED:
            replica.answered_count += 1
            replica.breaker.succeed()
        elif found is Verdict.FAULTY:
            replica.blame(completion.error or "")
            replica.breaker.fail(self._clock.now())
        else:
            replica.breaker.abstain()
        self._outage.note(self._breaker_states(), self._clock.now())

    def _is_lost(self, call: Call, found: Verdict, completion: Completion) -> bool:
        """Whether it is issued again."""
        if call.cut or call.reissues >= self._policy.reissues:
            return False
        taken_away = call.withdrawn and completion.finish is Finish.CANCELLED
        return taken_away or found in (Verdict.FAULTY, Verdict.OVERLOADED)

    def _lose(self, replica: Replica, call: Call, tokens: int | None) -> None:
        call.lose(tokens)
        call.reissues += 1
        call.lost_at[replica.name] = replica.breaker.passed_check_count
        replica.lost_count += 1
        self._waiting[call.request.id] = call

    def _withdraw(self, replica: Replica) -> None:
        """Take its requests away from a replica that is taken for dead; each comes back as one that was cut."""
        for id, call in replica.calls.items():
            if not call.withdrawn:
                call.withdrawn = True
                replica.engine.cancel(id)

    def _place_all(self) -> None:
        if not self._closed:
            for call in [*self._waiting.values()]:
                self._place(call)

    def _place(self, call: Call) -> None:
        """Send a request that waits, where there is a replica for it and the budget allows it."""
        at_replicas = len(self._calls) - len(self._waiting)
        reissued = sum(replica.reissued_in_flight for replica in self._replicas)
        if call.is_reissued and not self._policy.may_reissue(reissued, at_replicas):
            return
        offered = [index for index, replica in enumerate(self._replicas) if replica.may_take(call)]
        loads = [replica.load for replica in self._replicas]
        index = self._placement.place(call.request.id.program, loads, offered)
        if index is None:
            return
        del self._waiting[call.request.id]
        call.replica = index
        self._replicas[index].start(call)

    def _lose_patience(self) -> None:
        """In an outage that has lasted too long, let nobody wait: their programs are left for a resume."""
        if self._outage.is_hopeless(self._breaker_states(), self._clock.now()):
            faults = "; ".join(f"{replica.name}: {replica.fault}" for replica in self._replicas)
            for call in [*self._waiting.values()]:
                self._end(call, call.unanswered(Finish.FAILED, f"no replica is left ({faults})"))

    def _breaker_states(self) -> set[BreakerState]:
        return {replica.breaker.state for replica in self._replicas}

    def _end(self, call: Call, completion: Completion) -> None:
        """The one way out for every request."""
        id = call.request.id
        del self._calls[id]
        self._waiting.pop(id, None)
        if not self._calls:
            self._at_work.clear()
        self._outbox.put(completion)
