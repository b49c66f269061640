"""The process in which math-verify runs: `python -m dynasor.answers.symbolic_worker`.

It reads one `Pair` a line and writes one `Verdict` a line, after a `Hello` that tells whether it can work at all. It
knows nothing of caches or of what the answers are for. `symbolic` ends it when a pair takes too long.
"""

import contextlib
import logging
import os
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from typing import BinaryIO

import msgspec

DEFAULT_MEMORY_BYTES = 2 * 1024**3


class Hello(msgspec.Struct, frozen=True):
    """The first line: is math-verify installed?"""

    installed: bool


class Pair(msgspec.Struct, frozen=True):
    """Two formulas in LaTeX, without delimiters."""

    left: str
    right: str


class Verdict(msgspec.Struct, frozen=True):
    """Whether the formulas of a pair are equal."""

    same: bool


Comparison = Callable[[Pair], bool]

DEFAULT_PAIR_S = 0.5
_ORPHAN_S = 60  # one pair takes this long only where nobody is left to end it
_WARM_UP = (Pair(r"\frac{1}{2}", r"\frac{2}{4}"), Pair("(x+1)^2", "x^2+2x+1"), Pair("(1, 2)", r"\{1, 2\}"))


def main(arguments: Sequence[str]) -> None:
    """Serve pairs from standard input until it ends.

    The arguments are the most memory to use, in bytes, and the processor seconds of one pair, at which this process is
    ended by SIGPROF.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
    _limit_memory(int(arguments[0]) if arguments else DEFAULT_MEMORY_BYTES)
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as verdicts:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no verdict
        try:
            same = math_verify_comparison()
        except ImportError:
            _write(verdicts, Hello(installed=False))
            return
        logging.disable(logging.CRITICAL)  # the library warns of its time limits, which are off
        for pair in _WARM_UP:
            same(pair)
        _write(verdicts, Hello(installed=True))
        _serve(same, sys.stdin.buffer, verdicts, float(arguments[1]) if len(arguments) > 1 else DEFAULT_PAIR_S)


def math_verify_comparison() -> Comparison:
    """Import math-verify (which takes seconds) and give its equality, without its time limits.

    Those use an alarm of whole seconds, and let the formula go on in the same process.
    """
    from math_verify import LatexExtractionConfig, parse, verify  # noqa: PLC0415

    config = [LatexExtractionConfig()]

    def parsed(formula: str) -> list[object]:
        expressions: list[object] = parse(
            f"${formula}$", config, fallback_mode="no_fallback", extraction_mode="first_match", parsing_timeout=None
        )
        return expressions

    def same(pair: Pair) -> bool:
        left, right = parsed(pair.left), parsed(pair.right)
        return bool(verify(left, right, timeout_seconds=None) or verify(right, left, timeout_seconds=None))

    return same


def _limit_memory(most_bytes: int) -> None:
    _, hard_limit = resource.getrlimit(resource.RLIMIT_AS)
    with contextlib.suppress(ValueError, OSError):  # a platform that has no such limit, or a lower one already
        resource.setrlimit(resource.RLIMIT_AS, (most_bytes, hard_limit))


def _serve(same: Comparison, pairs: BinaryIO, verdicts: BinaryIO, pair_s: float) -> None:
    for line in pairs:
        signal.alarm(_ORPHAN_S)
        signal.setitimer(signal.ITIMER_PROF, pair_s)
        verdict = Verdict(same(msgspec.json.decode(line, type=Pair)))
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.alarm(0)
        _write(verdicts, verdict)


def _write(out: BinaryIO, message: Hello | Verdict) -> None:
    out.write(msgspec.json.encode(message) + b"\n")
    out.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
