"""Requests that ask for no reasoning: they are passed on to a backend as they are, and what they cost is counted.

The bytes that came are the bytes that go, and so is the answer, piece by piece. Until the first of it has come, a call
that a backend loses is sent to another one, within a budget; after that, a stream that breaks ends in an error event.
"""

from dynasor.engines.endpoint import Timeouts
from dynasor.gateway.backends import Backend, Backends
from dynasor.gateway.call import Call
from dynasor.gateway.event_edges import EventEdges
from dynasor.gateway.exchange import EVENTS
from dynasor.gateway.identity import forwarded
from dynasor.gateway.patience import Patience, Wait
from dynasor.gateway.refusals import Refused
from dynasor.gateway.trace_context import told_in
from dynasor.gateway.upstream import Arrived, BackendFault, broke_off

_PASSING = frozenset({502, 503, 504})  # of a server that cannot answer now; another one may
_DONE = b"[DONE]"


class PassOn:
    """Passes calls on."""

    def __init__(self, backends: Backends, timeouts: Timeouts, patience: Patience) -> None:
        self._backends, self._patience = backends, patience
        self._first_s, self._idle_s, self._total_s = timeouts.first_token_s, timeouts.idle_s, timeouts.total_s

    async def __call__(self, call: Call) -> None:
        """Ask a backend what the client asked, and pass its answer on.

        Raises:
            Refused: there is no answer, or a stream of it broke off.
        """
        headers = forwarded(call.exchange.headers, call.identity, call.tenant.name)
        headers["Content-Type"] = "application/json"
        headers |= call.onward or told_in(call.exchange.headers)
        tried: list[Backend] = []
        broke_off: list[Backend] = []
        fault: Refused | None = None
        backend = self._backends.choose(call, ())
        while backend is not None:
            tried.append(backend)
            try:
                return await self._attempt(call, backend, headers)
            except BackendFault as lost:
                call.lost.append((self._backends.clock.now(), backend.upstream.url, lost.code or str(lost.status)))
                if call.exchange.begun:
                    raise
                fault = lost
                if lost.code == "backend_broke_off":
                    broke_off.append(backend)
                backend = await self._another(call, tried, broke_off)
        raise fault or Refused(503, "there is no backend", "backend_down")

    async def _another(self, call: Call, tried: list[Backend], broke_off: list[Backend]) -> Backend | None:
        """The backend to ask after a fault: another one, or, where all were asked, once more one that broke off.

        Such a one may have closed a connection that was kept alive, just as we wrote to it.
        """
        again = [backend for backend in broke_off if tried.count(backend) == 1 and backend.breaker.admits]
        barred = [backend for backend in tried if backend not in again]
        if not (await self._backends.reissue_soon(call, barred) or self._backends.may_reissue(call.attempts)):
            return None
        return self._backends.choose(call, tried) or min(again, key=_failures_in_a_row, default=None)

    async def _attempt(self, call: Call, backend: Backend, headers: dict[str, str]) -> None:
        reissued = call.attempts > 0
        call.attempts += 1
        call.backend = backend.name
        backend.in_flight += 1
        backend.breaker.begin()
        self._backends.reissue(reissued)
        try:
            await self._ask(call, backend, headers)
        except BackendFault as fault:
            backend.blame(fault.why or fault.told, self._backends.clock.now())
            raise
        except BaseException:
            if call.exchange.stopped is not None:
                backend.blame(call.exchange.stopped.told, self._backends.clock.now())
            else:
                backend.breaker.abstain()
            raise
        finally:
            backend.in_flight -= 1
            self._backends.reissue(-reissued)

    async def _ask(self, call: Call, backend: Backend, headers: dict[str, str]) -> None:
        wait = self._patience.begin(call.exchange, self._first_s if call.asked.stream else self._total_s)
        try:
            arrived = await backend.upstream.ask("POST", call.path, call.body, headers)
            try:
                self._refuse_passing(arrived.status, call)
                if arrived.streams:
                    await self._stream(call, arrived, wait)
                else:
                    await self._whole(call, arrived)
            finally:
                arrived.close()
        finally:
            self._patience.end(wait)
        self._learn(backend, arrived.status)

    def _refuse_passing(self, status: int, call: Call) -> None:
        if status in _PASSING and self._is_replaceable(call):
            raise BackendFault(status, f"the backend answered {status}", "backend_down", retry_after_s=1.0)

    def _learn(self, backend: Backend, status: int) -> None:
        """From an answer that was passed on; a 429 is no fault, and tells of overload alone."""
        if status >= 500:
            backend.blame(f"it answered {status}", self._backends.clock.now())
        elif status == 429:
            backend.breaker.abstain()
        else:
            backend.praise()

    def _is_replaceable(self, call: Call) -> bool:
        """Whether there is another backend to be asked; else the answer is passed on, whatever it is."""
        return call.attempts < len(self._backends.all) and self._backends.may_reissue(call.attempts)

    async def _stream(self, call: Call, arrived: Arrived, wait: Wait) -> None:
        exchange, spent, edges = call.exchange, call.spent, EventEdges()
        now, idle_s = self._backends.clock.now, self._idle_s
        headers = [*EVENTS, *(pair for pair in arrived.headers if pair[0].lower() != b"content-type")]
        last = b""
        while piece := await arrived.piece():
            if events := edges.feed(piece):
                if not exchange.begun:  # with its head alone a backend has told nothing: until here, another one can
                    call.first_at = now()
                    await exchange.begin(arrived.status, headers, streams=True)
                last = events
                spent.events(events)
                wait.for_client = True
                await exchange.send(events)
                wait.for_client = False
            wait.until = now() + idle_s
        rest = edges.rest()
        if _DONE not in (last + rest)[-64:]:
            raise broke_off("the stream ended in the midst")
        if not exchange.begun:
            await exchange.begin(arrived.status, headers, streams=True)
        await exchange.end(rest)

    async def _whole(self, call: Call, arrived: Arrived) -> None:
        body = await arrived.whole()
        call.first_at = self._backends.clock.now()
        call.spent.whole(body)
        await call.exchange.answer(arrived.status, body, arrived.headers)


def _failures_in_a_row(backend: Backend) -> int:
    return backend.breaker.failure_count
