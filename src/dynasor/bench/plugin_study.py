"""The scheduler inside vLLM against vLLM's own: what is measured, and in which interpreter.

The parts without a model run where vLLM can be imported, in a process of their own; throughput is asked of two servers.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import msgspec

from dynasor.bench.engine_speed import Asker, tokens_per_s
from dynasor.bench.plugin_rows import Rate
from dynasor.bench.process_time import group_times, waited_share
from dynasor.bench.round_robin import round_robin
from dynasor.bench.vllm_inside import rows_inside
from dynasor.bench.vllm_options import ServerOptions
from dynasor.bench.vllm_server import VLLMServer
from dynasor.clock import Clock
from dynasor.engines.builtin import policy_folder
from dynasor.engines.endpoint import Endpoint
from dynasor.engines.openai_http import OpenAIEngine
from dynasor.inside.tags import PROGRAM

PLUGIN = ("--scheduler-cls", "dynasor.vllm_plugin.ProgramScheduler")
START_S = 300.0
Row = TypeVar("Row", bound=msgspec.Struct)


def measure(part: str, kind: type[Row], sizes: tuple[int, ...] = ()) -> Iterator[Row]:
    """The rows of a part, as they come: "steps" (seeds), "pressure", "cost" (waiting requests), "whole" (rounds).

    Raises:
        UsageError: there is no vLLM.
        EngineError: it failed; the message ends with its last words.
    """
    yield from rows_inside("dynasor.bench.plugin_inside", [part, str(policy_folder()), *map(str, sizes)], kind)


def measure_throughput(
    repeats: int, window_s: float, concurrency: int, clock: Clock, told: Callable[[str], None]
) -> list[Rate]:
    """Two servers side by side, asked in turns that begin with the one and the other, so that both fare alike."""
    with ExitStack() as stack:
        stack.enter_context(round_robin())
        folder = Path(stack.enter_context(TemporaryDirectory()))
        servers: dict[str, VLLMServer] = {}
        for arm, arguments in {"fcfs": (), "dynasor": PLUGIN}.items():
            options = ServerOptions(model=policy_folder(), log=folder / arm, arguments=arguments)
            servers[arm] = VLLMServer(options)
            stack.callback(servers[arm].stop)
            servers[arm].start()
        for server in servers.values():
            server.wait_until_ready(START_S)
        return asyncio.run(_windows(servers, repeats, window_s, concurrency, clock, told))


async def _windows(
    servers: dict[str, VLLMServer],
    repeats: int,
    window_s: float,
    concurrency: int,
    clock: Clock,
    told: Callable[[str], None],
) -> list[Rate]:
    rates: list[Rate] = []
    for repeat in range(repeats):
        for arm in list(servers) if repeat % 2 == 0 else reversed(list(servers)):  # ABBA
            server, before = servers[arm], group_times(servers[arm].pid or 0)
            tags = {"ignore_eos": True, "vllm_xargs": {PROGRAM: f"bench-{repeat}"}}
            engine = OpenAIEngine(Endpoint(server.url, extra_body=tags), environ={})
            try:
                asker = Asker(cycle([f"Problem {index}: how many apples?" for index in range(8)]))
                rate = await tokens_per_s(engine, clock, asker, concurrency, window_s)
            finally:
                await engine.close()
            waited = waited_share(before, group_times(server.pid or 0))
            rates.append(Rate(arm, repeat, concurrency, rate, waited))
            told(f"{arm}: {rate:,.0f} tokens/s")
    return rates
