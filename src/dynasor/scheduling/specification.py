"""From text to an ordering: names joined by `+`, each wrapping what follows it, as in `aging:patience=8+gang+sjf`.

The orderings are named here and not in `wiring`, because hosts of several floors read the same words.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from dynasor.config import build, describe, parse_specification
from dynasor.errors import UnknownName, UsageError
from dynasor.scheduling.aging import Aging
from dynasor.scheduling.app_fifo import AppFifo, DeepestFirst
from dynasor.scheduling.attained import LeastAttained
from dynasor.scheduling.deadline import EarliestDeadline, LeastSlack
from dynasor.scheduling.fcfs import Fcfs
from dynasor.scheduling.gang import Gang
from dynasor.scheduling.ordering import Ordering
from dynasor.scheduling.prefix import Prefix, computed_prompts
from dynasor.scheduling.scheduler import Scheduler
from dynasor.scheduling.sjf import Sjf
from dynasor.scheduling.table import ProgramTable
from dynasor.scheduling.waiting import Waiting

INNER = "inner"


@dataclass(frozen=True, slots=True)
class _LongestPrefix:
    """The options of `Prefix`; what is cached, its host knows."""

    most: int = 128


ORDERINGS: Mapping[str, Callable[..., Any]] = {
    "fcfs": Fcfs,
    "app-fifo": AppFifo,
    "deepest": DeepestFirst,
    "prefix": _LongestPrefix,
    "gang": Gang,
    "sjf": Sjf,
    "aging": Aging,
    "attained": LeastAttained,
    "edf": EarliestDeadline,
    "slack": LeastSlack,
}
SHORTHANDS: Mapping[str, str] = {"dynasor": "aging:patience=8.0,tokens_per_s=1000.0+sjf"}


def make_ordering(
    text: str,
    cached_tokens: Callable[[Waiting], int],
    plugged: Mapping[str, Callable[..., Ordering]] | None = None,
) -> tuple[Ordering, str]:
    """An ordering, and its canonical specification.

    Args:
        text: a name, with options as in `attained:quantum_tokens=256`, or several joined by `+`.
        cached_tokens: how many tokens of a request's prompt the cache holds now, for `prefix`.
        plugged: orderings of others by name: dataclasses, of which those that wrap have a field `inner`.

    Raises:
        UnknownName: for an ordering or an option that is not known.
        UsageError: for a value that cannot be, or something behind an ordering that wraps nothing.
    """
    known = {**(plugged or {}), **ORDERINGS}
    ordering: Any = None
    described: list[str] = []
    for part in reversed(SHORTHANDS.get(text.strip(), text).split("+")):
        name = parse_specification(part).name
        if name not in known:
            raise UnknownName("ordering", name, [*known, *SHORTHANDS])
        made = build("ordering", part, known)
        described.append(describe(name, made, without=(INNER,)))
        if isinstance(made, _LongestPrefix):
            made = Prefix(cached_tokens, made.most)
        ordering = made if ordering is None else _around(name, made, ordering)
    return ordering, "+".join(reversed(described))


def make_scheduler(
    text: str, plugged: Mapping[str, Callable[..., Ordering]] | None = None, table: ProgramTable | None = None
) -> tuple[Scheduler, str]:
    """A scheduler in front of an engine that tells nothing of its cache, and its ordering's canonical specification.

    Args:
        text: as for `make_ordering`.
        plugged: as for `make_ordering`.
        table: of the programs; a new one if there is none.

    Raises:
        UsageError: as `make_ordering` does.
    """
    table = ProgramTable() if table is None else table
    ordering, canonical = make_ordering(text, computed_prompts(table), plugged)
    return Scheduler(ordering, table), canonical


def _around(name: str, made: Any, inner: Ordering) -> Any:
    if not _wraps(made):
        raise UsageError(f"{name} is a whole ordering and wraps no other; put it last, as sjf in gang+sjf")
    return replace(made, inner=inner)


def _wraps(made: Any) -> bool:
    return any(field.name == INNER for field in fields(made))
