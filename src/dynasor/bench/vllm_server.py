"""A vLLM server on the CPU, in a process of its own: the backend that tests and benchmarks of live engines ask.

It knows how such a server is started, watched and stopped, and nothing of what is asked of it.
"""

import os
import signal
import socket
import subprocess
import threading
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from typing import Self

from dynasor.bench.vllm_options import HOST, ServerOptions
from dynasor.clock import WallClock
from dynasor.errors import EngineError, UsageError

START_S = 180.0
"""It takes 20 to 40 s on a quiet machine, and more than a minute on a busy one."""

_LOOK_S = 0.2  # between two looks at whether it is ready
_LOOK_AGAIN_S = 0.02  # between two looks at whether it is gone
_STOP_S = 30.0
_FOLLOW_S = 2.0  # for the others of its group: the last one gives back the shared memory
_LAST_LINES = 3
_TOLD_PER_LINE = 200  # characters
_GUARD = 'read -r _ || kill -s TERM -- "-$1"'
"""Waits for a line. Where its pipe ends without one, whoever started the server is dead, and so must the server be."""


class VLLMServer:
    """A server, as its parent sees it. Its methods block: in a coroutine, call them by `asyncio.to_thread`.

    As a context manager it is ready on entry and gone on exit. `start` two servers before you wait for the first, and
    they come up side by side. The server ends with its parent, however that ends.
    """

    def __init__(self, options: ServerOptions) -> None:
        self.options = options
        self._port = options.port
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """Where it listens, once started."""
        return self._port

    @property
    def url(self) -> str:
        """Its address, without /v1."""
        return f"http://{HOST}:{self._port}"

    @property
    def pid(self) -> int | None:
        """The process that speaks HTTP, and the id of the group that all its processes are in; None: not running."""
        return None if self._process is None else self._process.pid

    def start(self) -> Self:
        """Start the processes; they are of no use before `wait_until_ready`.

        Raises:
            UsageError: there is no vLLM, no such model, or the port is taken.
        """
        options = self.options
        if not options.python.exists():
            raise UsageError(f"there is no vLLM in {options.environment}; make it with scripts/vllm-environment")
        if not (options.model / "config.json").is_file():
            raise UsageError(f"{options.model} holds no config.json; give the folder of a model")
        self._port = _free_port(options.port)
        with options.log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the project's own environment
                options.command(self._port),
                env=options.environ(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._guard = subprocess.Popen(  # noqa: S603
            ["/bin/sh", "-c", _GUARD, "guard", str(self._process.pid)], stdin=subprocess.PIPE, start_new_session=True
        )
        return self

    def wait_until_ready(self, limit_s: float = START_S) -> Self:
        """Return when it answers.

        Raises:
            EngineError: it ended, or did not answer in time; it has been stopped then, and its log tells why.
        """
        try:
            self._watch(limit_s)
        except BaseException:  # also an interrupt from the keyboard
            self.stop()
            raise
        return self

    def is_healthy(self) -> bool:
        """Whether it answers, and says that all is well."""
        try:
            return self._get("/health")[0] == 200
        except (OSError, HTTPException):
            return False

    def metric(self, name: str) -> float:
        """A figure of its `/metrics`, such as `vllm:generation_tokens_total`, summed over its engines.

        Raises:
            EngineError: it does not tell.
        """
        return self.metrics(name)[name]

    def metrics(self, *names: str) -> dict[str, float]:
        """Several figures of one moment.

        Raises:
            EngineError: it does not tell one of them.
        """
        try:
            lines = self._get("/metrics")[1].splitlines()
        except (OSError, HTTPException) as fault:
            raise EngineError(f"{self.url}/metrics does not answer: {fault}", retryable=True) from fault
        found: dict[str, float] = {}
        for name in names:
            values = [float(line.rpartition(" ")[2]) for line in lines if line.startswith(name + "{")]
            if not values:
                raise EngineError(f"{self.url}/metrics tells no {name}", retryable=False)
            found[name] = sum(values)
        return found

    def running_count(self) -> int:
        """How many requests it is working on; the figure follows its work by a step of the engine or so.

        Raises:
            EngineError: it does not tell.
        """
        return int(self.metric("vllm:num_requests_running"))

    def stop(self) -> None:
        """End it and every process of it, in good order if it can, by force if it must; once is as good as twice."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_S)
        if not _gone(process.pid, _FOLLOW_S):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if self._guard is not None:
            self._guard.communicate(b"\n")

    def __enter__(self) -> Self:
        return self.start().wait_until_ready()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _watch(self, limit_s: float) -> None:
        clock = WallClock()
        deadline = clock.now() + limit_s
        while not self._ended_within(_LOOK_S):
            if self.is_healthy():
                return
            if clock.now() > deadline:
                raise EngineError(f"vLLM did not answer within {limit_s:g} s; {self._last_words()}", retryable=True)
        raise EngineError(f"vLLM ended before it was ready; {self._last_words()}", retryable=False)

    def _ended_within(self, wait_s: float) -> bool:
        if self._process is None:
            return True
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(wait_s)
        return self._process.poll() is not None

    def _get(self, path: str) -> tuple[int, str]:
        connection = HTTPConnection(HOST, self._port, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def _last_words(self) -> str:
        lines = [line.strip() for line in self.options.log.read_text(errors="replace").splitlines() if line.strip()]
        told = " | ".join(line[:_TOLD_PER_LINE] for line in lines[-_LAST_LINES:])
        return f"its log {self.options.log} ends: {told or 'before it began'}"


def _gone(group: int, limit_s: float) -> bool:
    """Whether no process of a group is left, by a time limit."""
    pause = threading.Event()
    for _ in range(round(limit_s / _LOOK_AGAIN_S)):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        pause.wait(_LOOK_AGAIN_S)
    return False


def _free_port(wanted: int) -> int:
    """The port itself, or any that is free for 0."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that a server has just left is free
        try:
            probe.bind((HOST, wanted))
        except OSError as fault:
            raise UsageError(f"port {wanted}: {fault.strerror}; name another, or 0 for any that is free") from None
        port: int = probe.getsockname()[1]
    return port
