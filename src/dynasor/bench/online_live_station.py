"""Real vLLM servers as the place where points are served: which server, in whose order, and what it counts."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

from dynasor.bench.online_live_arms import PLUGIN, PRIORITY, STOCK, live_arm
from dynasor.bench.online_live_order import order_by, until_idle
from dynasor.bench.online_live_rows import LivePoint
from dynasor.bench.online_live_run import Reading
from dynasor.bench.process_time import Times, group_times
from dynasor.bench.vllm_options import ServerOptions
from dynasor.bench.vllm_server import VLLMServer
from dynasor.clock import Clock
from dynasor.engines.builtin import policy_folder
from dynasor.engines.endpoint import Endpoint
from dynasor.engines.openai_http import OpenAIEngine

START_S = 600.0
"""For all of them together, on two cores."""

ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    STOCK: (),
    PRIORITY: ("--scheduling-policy", "priority"),
    PLUGIN: ("--scheduler-cls", "dynasor.bench.online_inside.AskedOrder"),
}
_COUNTERS = (
    "vllm:iteration_tokens_total_count",
    "vllm:generation_tokens_total",
    "vllm:prompt_tokens_total",
    "vllm:prefix_cache_hits_total",
    "vllm:num_preemptions_total",
)
_CONNECTIONS = 1 << 14  # all that waits is at the server, which orders it


@contextmanager
def live_servers(names: Iterable[str], slots: int, logs: Path) -> Iterator[dict[str, VLLMServer]]:
    """Start servers side by side, all on one core: one works at a time, the others idle.

    Raises:
        UsageError: there is no vLLM.
        EngineError: one did not start.
    """
    with ExitStack() as stack:
        servers: dict[str, VLLMServer] = {}
        for name in names:
            arguments = ("--max-num-seqs", str(slots), *ARGUMENTS[name])
            servers[name] = VLLMServer(
                ServerOptions(model=policy_folder(), log=logs / f"{name}.log", arguments=arguments)
            )
            stack.callback(servers[name].stop)
            servers[name].start()
        for server in servers.values():
            server.wait_until_ready(START_S)
        yield servers


class VLLMStation:
    """A `Station` of servers by name."""

    def __init__(self, servers: Mapping[str, VLLMServer], clock: Clock) -> None:
        self._servers, self._clock = servers, clock

    async def prepare(self, point: LivePoint) -> None:
        """Wait until all servers are idle; the one with the scheduler inside takes the order of the point."""
        for server in self._servers.values():
            await until_idle(server, self._clock)
        if point.server == PLUGIN:
            await order_by(self._servers[PLUGIN], point.ordering, self._clock)

    def engine(self, point: LivePoint) -> OpenAIEngine:
        """Its answers are not streamed: on two cores, telling every token costs more than the model does.

        The salt keeps what other points have left in the prefix cache from being found.
        """
        endpoint = Endpoint(
            self._servers[point.server].url,
            stream=False,
            extra_body={"cache_salt": uuid4().hex},
            max_connections=_CONNECTIONS,
            priority=live_arm(point.arm).priority,
        )
        return OpenAIEngine(endpoint, environ={})

    async def read(self, point: LivePoint) -> Reading:
        """By the server's metrics."""
        figures = await asyncio.to_thread(self._servers[point.server].metrics, *_COUNTERS)
        return Reading(self._clock.now(), *(figures[name] for name in _COUNTERS))

    def times(self, point: LivePoint) -> Times:
        """Of all processes of the server."""
        group = self._servers[point.server].pid
        return {} if group is None else group_times(group)
