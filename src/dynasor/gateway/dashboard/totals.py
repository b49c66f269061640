"""What has come of a tenant's programs so far, in numbers. Of everybody's it is the sum."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Self

from dynasor.programs.session import Outcome


@dataclass(slots=True)
class Totals:
    """Numbers of programs.

    Attributes:
        waiting, running: now.
        finished, withdrawn, failed: in all.
        tokens: spent by those that finished; of these, `cut_tokens` by branches that were cut.
        known_tokens: of these, by programs of which `even_tokens` is known: what even allocation would have spent.
        certaindex_sum: of those that finished, at the stop.
        met, missed: deadlines of programs.
    """

    waiting: int = 0
    running: int = 0
    finished: int = 0
    withdrawn: int = 0
    failed: int = 0
    tokens: int = 0
    cut_tokens: int = 0
    known_tokens: int = 0
    even_tokens: int = 0
    certaindex_sum: float = 0.0
    met: int = 0
    missed: int = 0

    def finish(self, outcome: Outcome, saved_tokens: int | None) -> None:
        """One has answered."""
        self.tokens += outcome.tokens
        self.cut_tokens += outcome.cut_tokens
        self.certaindex_sum += outcome.certaindex
        if saved_tokens is not None:
            self.known_tokens += outcome.tokens
            self.even_tokens += outcome.tokens + saved_tokens

    @classmethod
    def of(cls, several: Iterable[Self]) -> Self:
        """The sum."""
        rows, names = list(several), [field.name for field in fields(cls)]
        return cls(**{name: sum(getattr(row, name) for row in rows) for name in names})
