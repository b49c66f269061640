"""The process in which math-verify runs: `python -m dynasor.answers.symbolic_worker MEMORY_BYTES PAIR_LIMIT_S`.

It reads one `Pair` a line and writes one `Verdict` a line, after a first line that tells whether it can work at all.
It keeps no time of its own but one: `symbolic` ends it when a pair takes too long, and an alarm does where nobody is
left to.
"""

import logging
import signal
from collections.abc import Callable
from typing import BinaryIO

import msgspec


class Hello(msgspec.Struct, frozen=True):
    """The first line: is math-verify installed?"""

    installed: bool


class Pair(msgspec.Struct, frozen=True):
    """Two answers in LaTeX, without delimiters."""

    left: str
    right: str


class Verdict(msgspec.Struct, frozen=True):
    """Whether the answers of a pair are equal."""

    same: bool


_ORPHAN_S = 60  # beyond a pair's limit: long enough for a parent that is stopped in a debugger to lose nothing but this
_WARM_UP = (Pair(r"\frac{1}{2}", "0.5"), Pair(r"\sqrt{8}", r"2\sqrt{2}"), Pair("(x+1)^2", "x^2+2x+1"), Pair("(1,2)", "(2,1)"))


def _comparison() -> Callable[[Pair], bool]:
    from math_verify import LatexExtractionConfig, parse, verify  # noqa: PLC0415 (seconds, and it may be missing)

    logging.disable(logging.CRITICAL)  # it warns that its time limits are off; ours hold
    config = [LatexExtractionConfig()]

    def parsed(answer: str) -> list[object]:
        expressions: list[object] = parse(
            f"${answer}$", config, fallback_mode="no_fallback", extraction_mode="first_match", parsing_timeout=None
        )
        return expressions

    def same(pair: Pair) -> bool:
        left, right = parsed(pair.left), parsed(pair.right)
        return bool(verify(left, right, timeout_seconds=None) or verify(right, left, timeout_seconds=None))

    return same


def _serve(same: Callable[[Pair], bool], pairs: BinaryIO, verdicts: BinaryIO, limit_s: int) -> None:
    for line in pairs:
        signal.alarm(limit_s)
        verdict = Verdict(same(msgspec.json.decode(line, type=Pair)))
        signal.alarm(0)
        _write(verdicts, verdict)


def _write(out: BinaryIO, message: Hello | Verdict) -> None:
    out.write(msgspec.json.encode(message) + b"\n")
    out.flush()
