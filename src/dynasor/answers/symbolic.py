r"""Whether two answers are equal as mathematics: `\frac{1}{\sqrt{3}}` and `\frac{\sqrt{3}}{3}`.

A formula may keep a computer algebra system busy for ever, so it runs in a worker process under limits of time and
memory. What does not end within them is not equal to anything: in doubt an answer is a group of its own.
Unlike equality of normal forms this is no equivalence relation: the library rounds decimals.
"""

import os
import re
import selectors
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType
from typing import IO, Self, TypeVar, cast

import msgspec

from dynasor.answers.equivalence import MAX_LENGTH, normal_form
from dynasor.answers.rational import rational
from dynasor.answers.symbolic_worker import DEFAULT_MEMORY_BYTES, Hello, Pair, Verdict
from dynasor.errors import EngineError, MissingExtra


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolicLimits:
    """What a worker may use.

    Attributes:
        pair_s: processor seconds for one pair, once the worker is warm: so a verdict does not depend on what else the
            machine has to do.
        wall_s: wall seconds for one pair, for a worker that does not compute at all.
        start_s: wall seconds until a worker is warm.
        memory_bytes: address space of a worker, on platforms that can limit it.
        cached_pairs: verdicts that are remembered.
    """

    pair_s: float = 0.5
    wall_s: float = 20.0
    start_s: float = 120.0
    memory_bytes: int = DEFAULT_MEMORY_BYTES
    cached_pairs: int = 1 << 16


DEFAULT_LIMITS = SymbolicLimits()
WORKER_COMMAND = (sys.executable, "-m", "dynasor.answers.symbolic_worker")

_Message = TypeVar("_Message", Hello, Verdict)

_LONGEST_LINE = 1 << 12

_PROSE = re.compile(r"(?<![\\A-Za-z{])[^\W\d_]{3,}")
_BEYOND = re.compile(r"%|[0-9]_|\.\.|\\ldots|[\"']")  # the library reads hundredths, and drops bases and the rest


class SymbolicChecker:
    """Compares answers in a worker process, which starts with the first question that needs it.

    It may be shared by threads; one question is asked at a time. `close` ends the worker, and so does the end of the
    checker; a later question starts another.
    """

    def __init__(self, limits: SymbolicLimits = DEFAULT_LIMITS, command: Sequence[str] = WORKER_COMMAND) -> None:
        self._limits = limits
        self._command = (*command, str(limits.memory_bytes), str(limits.pair_s))
        self._lock = threading.Lock()
        self._worker: _Worker | None = None
        self._missing = False
        self._verdict = lru_cache(maxsize=limits.cached_pairs)(self._ask)

    def same(self, a: str, b: str) -> bool:
        """Tell whether the answers are equal; False where that cannot be told within the limits.

        Raises:
            MissingExtra: math-verify is not installed.
            EngineError: no worker could be started.
        """
        left, right = sorted((normal_form(a), normal_form(b)))
        if left == right:
            return True
        return _are_comparable(left, right) and self._verdict(left, right)

    def close(self) -> None:
        """End the worker, if one runs."""
        with self._lock:
            if self._worker is not None:
                self._worker.end()
                self._worker = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, left: str, right: str) -> bool:
        with self._lock:
            for _ in range(2):  # a worker that is found dead may have died of something else
                verdict = self._warm_worker().compare(Pair(left, right), self._limits.wall_s)
                if verdict is not None:
                    return verdict
            return False

    def _warm_worker(self) -> "_Worker":
        if self._missing:
            raise MissingExtra("symbolic equality", "symbolic")
        if self._worker is None or not self._worker.is_alive():
            self._worker = None
            self._worker = self._started()
        return self._worker

    def _started(self) -> "_Worker":
        worker = _Worker(self._command)
        hello = worker.hello(self._limits.start_s)
        if hello is not None and hello.installed:
            return worker
        worker.end()
        if hello is None:
            command = " ".join(self._command)
            raise EngineError(
                f"the worker for symbolic equality was not ready within {self._limits.start_s:g} s; try: {command}",
                retryable=True,
            )
        self._missing = True
        raise MissingExtra("symbolic equality", "symbolic")


class _Worker:
    """One process. It is killed and its pipes are closed by `end`, or when this object goes."""

    def __init__(self, command: Sequence[str]) -> None:
        try:
            self._process = subprocess.Popen(  # noqa: S603 (our own module)
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
            )
        except OSError as error:
            raise EngineError(f"cannot start a worker for symbolic equality: {error}", retryable=True) from error
        self._pairs, self._verdicts = cast("IO[bytes]", self._process.stdin), cast("IO[bytes]", self._process.stdout)
        self.end = weakref.finalize(self, _end, self._process)

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def hello(self, limit_s: float) -> Hello | None:
        return _decoded(self._line(limit_s), Hello)

    def compare(self, pair: Pair, limit_s: float) -> bool | None:
        """Give the verdict: False, and the end of the worker, where it takes too long; None where the worker died."""
        try:
            self._pairs.write(msgspec.json.encode(pair) + b"\n")
        except BrokenPipeError:
            self.end()
            return None
        line = self._line(limit_s)
        verdict = _decoded(line, Verdict)
        if verdict is None:
            self.end()
            return None if line == b"" and self._process.returncode != -signal.SIGPROF else False
        return verdict.same

    def _line(self, limit_s: float) -> bytes | None:
        """Wait for a line, which comes in one piece as it is short; None where it does not come, b"" at the end."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._verdicts, selectors.EVENT_READ)
            return os.read(self._verdicts.fileno(), _LONGEST_LINE) if selector.select(limit_s) else None


def _decoded(line: bytes | None, kind: type[_Message]) -> _Message | None:
    try:
        return msgspec.json.decode(line, type=kind) if line else None
    except msgspec.DecodeError:
        return None


def _end(process: subprocess.Popen[bytes]) -> None:
    with process:  # closes the pipes, and waits
        process.kill()


def _are_comparable(left: str, right: str) -> bool:
    """Tell whether to ask at all: of numbers, words and single letters, different forms are different answers."""
    if rational(left) is not None and rational(right) is not None:
        return False
    if len(left) == len(right) == 1 or _list_and_tuple(left, right) or _list_and_tuple(right, left):
        return False
    return _is_formula(left) and _is_formula(right)


def _list_and_tuple(left: str, right: str) -> bool:
    """Tell `1, 2` and `(1, 2)`, which the library takes for the same."""
    bare = "," in left and not left.startswith(("(", "[", r"\{", r"\begin"))
    return bare and "," in right and right.startswith(("(", "["))


def _is_formula(form: str) -> bool:
    return 0 < len(form) <= MAX_LENGTH and form.isprintable() and not _PROSE.search(form) and not _BEYOND.search(form)
