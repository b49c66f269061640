"""Certaindex by entropy: (log n - H) / log n over the groups of n answers (paper 3.1, equation 1).

It knows counts, not answers.
"""

from collections.abc import Iterable

from dynasor.answers.grouping import ByText
from dynasor.answers.voting import Ballot


def entropy_certaindex(ballot: Ballot) -> float:
    """The certaindex of a ballot, in [0, 1], in constant time.

    With group sizes c and n = sum(c), (log n - H) / log n = sum(c log c) / (n log n). One answer alone says nothing
    about how answers agree, and neither do branches none of which has an answer: 0 for n = 0, for n = 1 and while no
    answer was extracted. Branches without an answer count as one group of their own.
    """
    if ballot.cast_count < 2 or ballot.cast_count == ballot.unanswered:
        return 0.0
    return ballot.concentration


def certaindex_of(counts: Iterable[int]) -> float:
    """The certaindex of bare group sizes; the same figure, for tables and tests."""
    ballot = Ballot(ByText())
    for name, count in enumerate(counts):
        for _ in range(count):
            ballot.cast(ballot.cast_count, f"group {name}")
    return entropy_certaindex(ballot)


def attainable(count: int) -> list[float]:
    """Every value that the certaindex of `count` answers can take, from certain to uncertain.

    Raises:
        ValueError: for more than 40 answers, whose partitions run into millions.
    """
    if count > 40:
        raise ValueError(f"{count} answers have too many partitions to list; 40 at most")
    return sorted({certaindex_of(sizes) for sizes in _partitions(count, count)}, reverse=True)


def _partitions(total: int, largest: int) -> Iterable[tuple[int, ...]]:
    if total == 0:
        yield ()
    for size in range(min(total, largest), 0, -1):
        for rest in _partitions(total - size, size):
            yield (size, *rest)
