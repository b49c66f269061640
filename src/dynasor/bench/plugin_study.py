"""The scheduler inside vLLM against vLLM's own: what is measured, and in which interpreter.

The parts without a model run where vLLM can be imported, in a process of their own; throughput is asked of two servers.
"""

import asyncio
import os
import subprocess
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
from dynasor.bench.vllm_options import ENVIRONMENT, ServerOptions
from dynasor.bench.vllm_server import VLLMServer
from dynasor.clock import Clock
from dynasor.engines.builtin import policy_folder
from dynasor.engines.endpoint import Endpoint
from dynasor.engines.openai_http import OpenAIEngine
from dynasor.errors import EngineError, UsageError
from dynasor.inside.tags import PROGRAM

PLUGIN = ("--scheduler-cls", "dynasor.vllm_plugin.ProgramScheduler")
START_S = 300.0
_QUIET = {
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # an engine with its model in one process, whose time can be told
}
_LAST = 300  # characters of what it says in the end

Row = TypeVar("Row", bound=msgspec.Struct)


def measure(part: str, kind: type[Row], sizes: tuple[int, ...] = ()) -> Iterator[Row]:
    """The rows of a part, as they come: "steps" (seeds), "pressure", "cost" (waiting requests), "whole" (rounds).

    Raises:
        UsageError: there is no vLLM.
        EngineError: it failed; the message ends with its last words.
    """
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        raise UsageError(f"there is no vLLM in {ENVIRONMENT}; make it with scripts/vllm-environment")
    command = [str(python), "-m", "dynasor.bench.plugin_inside", part, str(policy_folder()), *map(str, sizes)]
    with TemporaryDirectory() as folder, (Path(folder) / "errors").open("w+b") as errors:
        with subprocess.Popen(command, env=os.environ | _QUIET, stdout=subprocess.PIPE, stderr=errors) as process:  # noqa: S603
            yield from (msgspec.json.decode(line, type=kind) for line in process.stdout or ())
        if process.returncode:
            errors.seek(0)
            told = errors.read().decode(errors="replace").strip()[-_LAST:]
            raise EngineError(f"measuring {part} inside vLLM failed: ...{told}", retryable=False)


def measure_throughput(
    repeats: int, window_s: float, concurrency: int, clock: Clock, told: Callable[[str], None]
) -> list[Rate]:
    """Two servers side by side, asked in turns that begin with the one and the other, so that both fare alike."""
    with ExitStack() as stack:
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
