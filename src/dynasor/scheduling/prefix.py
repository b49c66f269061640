"""Longest prefix match: the order of SGLang, the first baseline of the paper (6.3). It knows no cache, only a count."""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import ClassVar

from dynasor.scheduling.ordering import Place
from dynasor.scheduling.table import ProgramTable, Row
from dynasor.scheduling.waiting import Waiting

_SHORT = 32  # tokens: what is cached of a prompt no longer than this does not keep a request from being put off


@dataclass(frozen=True, slots=True)
class Prefix:
    """The longest cached prefix first.

    Of requests with at most 32 tokens cached and the first 32 tokens in common, the first keeps its place and the
    others are put at the end: they find its prefix in the cache in a later pass. With more than `most` waiting, which
    would take too long, it is first come, first served; so it is inside another ordering.

    Attributes:
        cached_tokens: how many tokens of a request's prompt the cache holds now.
        most: the number of waiting requests up to which prefixes are looked at.
    """

    is_fixed: ClassVar[bool] = True
    cached_tokens: Callable[[Waiting], int]
    most: int = 128

    def place(self, program: Row, request: Waiting, now: float) -> Place:
        """First come, first served."""
        return Place((request.rank,))

    def arrange(self, requests: Iterable[Waiting]) -> list[Waiting]:
        """One pass over all that waits; whoever starts several requests at once starts them from one pass."""
        computed: set[Hashable] = set()
        keyed: list[tuple[bool, int, int, Waiting]] = []
        for request in requests:
            cached = self.cached_tokens(request)
            shares = cached <= _SHORT and request.opening is not None
            put_off = shares and request.opening in computed
            if shares:
                computed.add(request.opening)
            keyed.append((put_off, 0 if put_off else -cached, request.rank, request))
        return [request for *_, request in sorted(keyed, key=lambda entry: entry[:3])]


def computed_prompts(table: ProgramTable) -> Callable[[Waiting], int]:
    """What is cached where no engine tells: the prompt of a program, once a request of it was started."""
    return lambda request: 0 if table[request.program].start_rank is None else _SHORT + 1
