"""The engines that are compared, each with the built-in model behind it: llama.cpp in this process, and a vLLM server.

Each answers as many requests at one time as it is told, or else as many as it does by default. This is the only place
of the comparison that names engines.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path
from tempfile import TemporaryDirectory

from dynasor.bench.engine_cancel import Backend
from dynasor.bench.vllm_options import ENVIRONMENT, ServerOptions
from dynasor.bench.vllm_server import VLLMServer
from dynasor.engines.builtin import policy_folder, policy_gguf
from dynasor.engines.embedded import EmbeddedEngine
from dynasor.engines.embedded_model import EmbeddedModel
from dynasor.engines.endpoint import Endpoint
from dynasor.engines.openai_http import OpenAIEngine
from dynasor.errors import MissingExtra, UsageError

START_S = 300.0

_ENDLESS = {"ignore_eos": True}
_COUNTED = {"stream_options": {"include_usage": True, "continuous_usage_stats": True}}  # also when cut
_THREADS = Path("/proc/self/task")


class Embedded:
    """llama.cpp in this process, one thread of it."""

    name = "embedded"

    def __init__(self, slots: int | None) -> None:
        self._model = EmbeddedModel(policy_gguf(), slots=slots)
        self._endless = EmbeddedModel(policy_gguf(), slots=slots, extra_body=_ENDLESS)

    def engine(self) -> EmbeddedEngine:
        """Make an engine."""
        return EmbeddedEngine(self._model)

    def endless_engine(self) -> EmbeddedEngine:
        """Make an engine whose answers end at `max_tokens`."""
        return EmbeddedEngine(self._endless)

    async def running(self) -> int:
        """The threads of this process; where the platform does not tell, those of Python."""
        return _thread_count()

    async def generated_tokens(self) -> None:
        """Nobody counts: once its engine is closed, there is no model left to ask."""


class VLLM:
    """A vLLM server on the CPU, asked over its socket."""

    name = "vllm"

    def __init__(self, server: VLLMServer) -> None:
        self._server = server

    def engine(self) -> OpenAIEngine:
        """Make an engine."""
        return OpenAIEngine(Endpoint(self._server.url), environ={})

    def endless_engine(self) -> OpenAIEngine:
        """Make an engine whose answers end at `max_tokens`, and whose server tells its count with every token."""
        return OpenAIEngine(Endpoint(self._server.url, extra_body={**_ENDLESS, **_COUNTED}), environ={})

    async def running(self) -> int:
        """Requests at work, by the server's own figure."""
        return await asyncio.to_thread(self._server.running_count)

    async def generated_tokens(self) -> float:
        """By the server's own figure."""
        return await asyncio.to_thread(self._server.metric, "vllm:generation_tokens_total")


def _thread_count() -> int:
    return len(list(_THREADS.iterdir())) if _THREADS.exists() else threading.active_count()


@contextmanager
def _embedded(slots: int | None) -> Iterator[Backend]:
    yield Embedded(slots)


@contextmanager
def _vllm(slots: int | None) -> Iterator[Backend]:
    with TemporaryDirectory() as folder:
        log = Path(folder) / "vllm.log"
        most = ("--max-num-seqs", str(slots)) if slots else ()
        server = VLLMServer(ServerOptions(model=policy_folder(), log=log, arguments=most, environment=ENVIRONMENT))
        try:
            yield VLLM(server.start().wait_until_ready(START_S))
        finally:
            server.stop()


def _embedded_version() -> str:
    try:
        return f"xllamacpp {version('xllamacpp')}, {policy_gguf().name}, 1 thread"
    except PackageNotFoundError as missing:
        raise MissingExtra("the embedded engine", "embedded") from missing


def _vllm_version() -> str:
    if not (ENVIRONMENT / "bin" / "python").exists():
        raise UsageError(
            f"there is no vLLM in {ENVIRONMENT}; make it with scripts/vllm-environment, or take --engine embedded"
        )
    folders = [str(folder) for folder in ENVIRONMENT.glob("lib/python*/site-packages")]
    found = (f"{it.name} {it.version}" for it in distributions(path=folders) if it.name.startswith("vllm"))
    return f"{next(found, 'vllm of unknown version')}, {policy_folder().name}/model.safetensors, eager, 1 core"


BACKENDS: Mapping[str, Callable[[int | None], AbstractContextManager[Backend]]] = {"embedded": _embedded, "vllm": _vllm}
"""By name: what starts it with so many slots, None for its own default, and stops it in the end."""

VERSIONS: Mapping[str, Callable[[], str]] = {"embedded": _embedded_version, "vllm": _vllm_version}
"""By name: what it is; raises `UsageError` where it is not installed."""
