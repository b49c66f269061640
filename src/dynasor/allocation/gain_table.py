"""Stopping by expected gain as text, so that a line or a policy file can name it. Nothing is learned here.

Rows `branches@states` with `/` between them, a state being leader-runner up-groups: `3@3-0-1/5@5-0-1 4-1-2`.
"""

from dataclasses import dataclass
from functools import lru_cache

from dynasor.allocation.curve_table import Written
from dynasor.allocation.expected_gain import ExpectedGain
from dynasor.allocation.progress import Grant, Progress
from dynasor.errors import UsageError


@dataclass(frozen=True, slots=True)
class GainTable:
    """Stop in the states of a vote that the table names (see `ExpectedGain`).

    Attributes:
        table: a row for each number of branches at which it judges.
    """

    table: str

    def __post_init__(self) -> None:
        """Refuse what is no table."""
        object.__setattr__(self, "table", Written(self.table))
        expected_gain(self.table)

    def __call__(self, progress: Progress) -> Grant:
        """Judge where the table has a row."""
        return expected_gain(self.table)(progress)


@lru_cache(maxsize=1 << 8)
def expected_gain(table: str) -> ExpectedGain:
    """The policy that a table names.

    Raises:
        UsageError: where it is no such table.
    """
    rows = [row.partition("@") for row in table.split("/")]
    if not all(at for _, at, _ in rows) or len({ask for ask, _, _ in rows}) < len(rows):
        raise UsageError(f"'{_briefly(table)}' is no table of states; write branches@states: 3@3-0-1/5@5-0-1 4-1-2")
    return ExpectedGain.from_table({ask: states for ask, _, states in rows})


def written(policy: ExpectedGain) -> GainTable:
    """The same policy, as text."""
    return GainTable("/".join(f"{ask}@{states}" for ask, states in policy.table().items()))


def _briefly(table: str) -> str:
    return table if len(table) <= 40 else f"{table[:37]}..."
