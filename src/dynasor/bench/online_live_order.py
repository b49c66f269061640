"""How a server with `online_inside.AskedOrder` is told its order, and how one makes sure that it was.

Nothing here imports vLLM.
"""

import asyncio

from dynasor.bench.online_live_arms import ORDERING
from dynasor.bench.vllm_server import VLLMServer
from dynasor.clock import Clock
from dynasor.engines.endpoint import Endpoint
from dynasor.engines.openai_http import OpenAIEngine
from dynasor.errors import EngineError
from dynasor.request import ProgramId, Request, RequestId, Sampling

_AT_WORK = ("vllm:num_requests_running", "vllm:num_requests_waiting")
_TRIES = 20
_LOOK_S = 0.1
_GONE_S = 60.0


async def until_idle(server: VLLMServer, clock: Clock) -> None:
    """Wait until a server works on nothing: requests that were cut are let go of a moment later.

    Raises:
        EngineError: it does not come to an end.
    """
    last = clock.now() + _GONE_S
    while any((await asyncio.to_thread(server.metrics, *_AT_WORK)).values()):
        if clock.now() > last:
            raise EngineError(f"{server.url} still works {_GONE_S:g} s after the last request", retryable=True)
        await clock.sleep(_LOOK_S)


async def order_by(server: VLLMServer, ordering: str, clock: Clock) -> None:
    """Have a server that works on nothing take another order, and make sure that it did.

    Raises:
        EngineError: it did not.
    """
    told = {"vllm_xargs": {ORDERING: ordering}}
    engine = OpenAIEngine(Endpoint(server.url, stream=False, extra_body=told), environ={})
    try:
        for place in range(_TRIES):
            await until_idle(server, clock)
            engine.submit(Request(RequestId(ProgramId("order"), place), "1", Sampling(max_tokens=1)))
            await engine.ready()
            started = await asyncio.to_thread(server.metric, "dynasor:started_total")
            if started == 1:  # counters begin anew with the order
                return
            await clock.sleep(_LOOK_S)
    finally:
        await engine.close()
    raise EngineError(f"{server.url} did not take the order {ordering}; see its log", retryable=True)
