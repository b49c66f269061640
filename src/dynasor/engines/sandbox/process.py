"""The host's end of one worker: it starts it, hands it jobs, and reads what comes back, never more than allowed.

It knows processes and pipes; it knows nothing of tests and verdicts.
"""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from dynasor.engines.sandbox.worker import MOST_MESSAGE_BYTES
from dynasor.errors import EngineError, UsageError

_ROOT = Path(__file__).parents[3]
_BOOT = (  # the path is there for our own modules only: a program finds the standard library and nothing else
    "import socket, sys\n"
    "sys.path.insert(0, sys.argv[1])\n"
    "from dynasor.engines.sandbox.worker import main\n"
    "del sys.path[0]\n"
    "main(socket.socket(fileno=int(sys.argv[2])))\n"
)
_GRACE_S = 10.0  # a worker that kills nothing by then is killed itself


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramLimits:
    """What a program may use. All are hard: a process that passes one is killed, or gets no more.

    Attributes:
        wall_s: seconds for one job: enough more than `cpu_s` that a busy machine changes no verdict.
        cpu_s: processor seconds of each process, whole.
        memory_bytes: address space of the process.
        output_bytes: what it may write to its standard output, or give back.
        file_bytes: the size of a file in its empty directory; 0, so that no disk can be filled: no byte at all.
    """

    wall_s: float = 20.0
    cpu_s: int = 6
    memory_bytes: int = 1 << 30
    output_bytes: int = 1 << 22
    file_bytes: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for name in ("wall_s", "cpu_s", "memory_bytes", "output_bytes"):
            if getattr(self, name) <= 0:
                raise UsageError(f"{name} is {getattr(self, name)}; a program needs some")


class TooMuchOutput(Exception):
    """A program wrote more than it may."""


class Ended(NamedTuple):
    """How the processes of a job ended: their exit statuses (negative: the signal), and whether the time was up."""

    statuses: tuple[int, ...]
    timed_out: bool

    @property
    def out_of_time(self) -> bool:
        """Whether the wall or the processor time was up."""
        return self.timed_out or -signal.SIGXCPU in self.statuses


class Pipe:
    """The host's end of what a sandboxed process writes or reads, with a bound on what is read in all."""

    def __init__(self, file: int, limits: ProgramLimits) -> None:
        self._file = file
        self._limits = limits
        self._rest = b""
        self._left = limits.output_bytes
        self.close = weakref.finalize(self, os.close, file)

    def write(self, message: object) -> None:
        """Send one line; that nobody reads it any more shows when its answer is read."""
        line = memoryview(json.dumps(message).encode() + b"\n")
        with contextlib.suppress(BrokenPipeError):
            while line:
                if not select.select([], [self._file], [], self._patience_s)[1]:
                    return
                line = line[os.write(self._file, line[: select.PIPE_BUF]) :]

    def line(self) -> Any:
        """The next line's value; None at the end, or where it is no JSON. Raises TooMuchOutput."""
        while b"\n" not in self._rest:
            piece = self._piece()
            if not piece:
                return None
            self._rest += piece
        line, _, self._rest = self._rest.partition(b"\n")
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(line)
        return None

    def all(self) -> bytes:
        """Everything to the end. Raises TooMuchOutput."""
        pieces = []
        while piece := self._piece():
            pieces.append(piece)
        return b"".join(pieces)

    @property
    def _patience_s(self) -> float:
        return self._limits.wall_s + _GRACE_S

    def _piece(self) -> bytes:
        if not select.select([self._file], [], [], self._patience_s)[0]:
            return b""
        piece = os.read(self._file, 1 << 16)
        self._left -= len(piece)
        if self._left < 0:
            raise TooMuchOutput
        return piece


class Worker:
    """One worker process, which does one job at a time. It ends with `end`, with this object, or with the host."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-I", "-S", "-B", "-c", _BOOT, str(_ROOT), str(theirs.fileno())]
        try:
            self._process = subprocess.Popen(  # noqa: S603  (our own module)
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={},
                cwd="/",
                start_new_session=True,
            )
        except OSError as fault:
            raise EngineError(f"cannot start a worker for untrusted programs: {fault}", retryable=True) from fault
        finally:
            theirs.close()
        self._control = ours
        self.end = weakref.finalize(self, _end, self._process, ours)

    @contextlib.contextmanager
    def job(
        self, children: Sequence[tuple[str, Sequence[int]]], limits: ProgramLimits, withheld: frozenset[str]
    ) -> "Iterator[Job]":
        """Start processes, each of a role and with the files it gets, in an empty directory that goes with the job."""
        with tempfile.TemporaryDirectory(prefix="dynasor-", ignore_cleanup_errors=True) as directory:
            message = {
                "children": [(role, len(files)) for role, files in children],
                "limits": asdict(limits),
                "directory": directory,
                "withheld": sorted(withheld),
            }
            with contextlib.suppress(OSError):  # a worker that is gone shows when it is asked how the job ended
                socket.send_fds(
                    self._control, [json.dumps(message).encode()], [file for _, files in children for file in files]
                )
            for file in {file for _, files in children for file in files}:
                os.close(file)
            yield Job(self, limits)

    def ended(self, patience_s: float) -> Ended:
        """How the job ended; a worker that does not tell is at its end."""
        ready = select.select([self._control], [], [], patience_s)[0]
        answer = b""
        with contextlib.suppress(OSError):
            answer = self._control.recv(MOST_MESSAGE_BYTES) if ready else b""
        if not answer:
            self.end()
            return Ended((), timed_out=not ready)
        told = json.loads(answer)
        return Ended(tuple(told["statuses"]), told["timed_out"])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


class Job:
    """Processes at work."""

    def __init__(self, worker: Worker, limits: ProgramLimits) -> None:
        self._worker = worker
        self._limits = limits

    def ended(self) -> Ended:
        """Wait until they have ended; to be asked once, when everything that they wrote has been read."""
        return self._worker.ended(self._limits.wall_s + _GRACE_S)


def _end(process: subprocess.Popen[bytes], control: socket.socket) -> None:
    control.close()
    with contextlib.suppress(OSError), process:
        os.killpg(process.pid, signal.SIGKILL)
