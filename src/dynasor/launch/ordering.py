"""Orderings of the simulator by name: those of every host, and one that sees the future."""

from collections.abc import Callable
from typing import Protocol

from dynasor.config import parse_specification
from dynasor.request import ProgramId
from dynasor.scheduling import specification
from dynasor.simulation.fleet import OrderingOf
from dynasor.simulation.oracle import Oracle
from dynasor.wiring import make_ordering

ORACLE = "oracle"
_LOOKS_AT_THE_CACHE = "prefix"


class Foreseen(Protocol):
    """Programs of which it is known what they will take."""

    def foreseen(self) -> Callable[[ProgramId], int]:
        """Tells the generated tokens of a program, in all.

        Raises:
            UsageError: nobody can know.
        """
        ...


def ordering_of(text: str, workload: Foreseen) -> OrderingOf:
    """What makes the ordering of a replica, from a specification such as `aging:patience=8+gang+sjf`.

    `prefix` looks at the replica's cache, and `oracle` knows what each program of the workload will take.

    Raises:
        UsageError: where the specification names no known ordering, or settings that cannot be, or an
            oracle is asked for where nobody can know.
    """
    if text == ORACLE:
        oracle = Oracle(workload.foreseen())
        return lambda cached_tokens: oracle
    made = make_ordering(text)
    if any(parse_specification(part).name == _LOOKS_AT_THE_CACHE for part in text.split("+")):
        return lambda cached_tokens: specification.make_ordering(text, cached_tokens)[0]
    return lambda cached_tokens: made
