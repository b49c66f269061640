"""The programs that run and what is known of each: the paper's program context manager (5.3.2).

It knows no order and no queue. Its rows change; orderings only read them.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from dynasor.request import ProgramId
from dynasor.scheduling.estimate import History, Kind
from dynasor.scheduling.knob_history import KnobHistory


@dataclass(slots=True, eq=False)
class Row:
    """One program.

    Attributes:
        rank: its place among all programs by arrival, a counter.
        start_rank: its place among the programs of which a request was started; None before.
        remaining_knob: the knob that it is expected to turn yet, what is in flight and waiting included; None where
            nobody tells, and each of its requests then counts for one.
        goals: the knobs up to which it was granted, the last one last; none where nobody tells.
        arrived_at: when its first request came, in the host's seconds; None before.
        knob: how far it has turned its knob; None where nobody tells, and each request that landed counts for one.
        deadline: the instant by which its answer is due; None for no deadline.
        is_open: whether requests may still come; a row that is not leaves with its last request.
        in_flight, waiting: how many requests are.
        attained_tokens: generated for it in all, cut and failed requests included.
        unfinished_tokens: of these, what requests that have not ended have generated.
        landed_tokens: of these, what requests that came to their end have.
        counted_branches, counted_tokens: the branches that its mean length is taken over.
        told_tokens: what its client last estimated that it still needs; None where it does not estimate.
        told_at_tokens: what had been generated for it by then.
    """

    id: ProgramId
    rank: int
    history: History = field(repr=False)
    kind: Kind
    knobs: KnobHistory = field(default_factory=KnobHistory, repr=False)
    start_rank: int | None = None
    arrived_at: float | None = None
    remaining_knob: float | None = None
    goals: dict[int, None] = field(default_factory=dict)
    knob: int | None = None
    deadline: float | None = None
    is_open: bool = False
    in_flight: int = 0
    waiting: int = 0
    attained_tokens: int = 0
    unfinished_tokens: int = 0
    landed_tokens: int = 0
    counted_branches: int = 0
    counted_tokens: int = 0
    told_tokens: float | None = None
    told_at_tokens: int = 0

    @property
    def is_active(self) -> bool:
        """Whether it has requests; what the cache holds of those that have none is evicted first (paper 5.3.2)."""
        return bool(self.in_flight or self.waiting)

    @property
    def is_estimated(self) -> bool:
        """Whether anybody tells what it needs yet beyond the requests that it has made."""
        return self.remaining_knob is not None or self.told_tokens is not None

    @property
    def branch_tokens(self) -> float:
        """Mean tokens per branch: its own, before it has any that of its kind, before that of all kinds."""
        if self.counted_branches:
            return self.counted_tokens / self.counted_branches
        return self.history.branch_tokens(self.kind)

    @property
    def remaining_tokens(self) -> float:
        """Tokens that it still needs (paper 5.3.1): remaining knob x mean tokens per branch; at least 1.

        What its client estimated goes first, less what has been generated since.
        """
        if self.told_tokens is not None:
            return max(1.0, self.told_tokens - (self.attained_tokens - self.told_at_tokens))
        return max(1.0, self._expected_knob * self.branch_tokens - self.unfinished_tokens)

    @property
    def _expected_knob(self) -> float:
        """What was granted and what others then turned; before any other has ended, what is told of it."""
        if self.remaining_knob is None:
            return self.in_flight + self.waiting
        if not self.goals:
            return self.remaining_knob
        goal = next(reversed(self.goals))
        beyond = self.knobs.beyond(self.kind, goal)
        return self.remaining_knob if beyond is None else goal - (self.knob or 0) + beyond


class ProgramTable:
    """All programs that are open or have requests."""

    def __init__(self, history: History | None = None) -> None:
        self.history = history or History()
        self.knobs = KnobHistory()
        self._rows: dict[ProgramId, Row] = {}
        self._fresh: dict[Kind | None, OrderedDict[ProgramId, None]] = {}  # programs that are estimated from history
        self._outdated: dict[Kind | None, int] = {}  # how many of these were ranked by an older mean, at most
        self._arrivals = self._starts = 0

    def __contains__(self, program: ProgramId) -> bool:
        return program in self._rows

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows.values())

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, program: ProgramId) -> Row:
        return self._rows[program]

    def get(self, program: ProgramId) -> Row | None:
        """The row of a program; None for one that is not known."""
        return self._rows.get(program)

    def seen(self, program: ProgramId, kind: Kind = Kind()) -> Row:  # noqa: B008  (frozen)
        """The row of a program, a new one if need be, which leaves with its last request."""
        if program not in self._rows:
            self._rows[program] = Row(program, self._arrivals, self.history, kind, self.knobs)
            self._arrivals += 1
            for group in (kind,) if self.history.has(kind) else (kind, None):
                self._fresh.setdefault(group, OrderedDict())[program] = None
        return self._rows[program]

    def arrive(self, row: Row, now: float) -> None:
        """A request of a program comes and waits."""
        row.waiting += 1
        if row.arrived_at is None:
            row.arrived_at = now

    def drop_if_done(self, row: Row) -> None:
        """Forget a program that will make no requests and has none."""
        if not (row.is_open or row.is_active):
            del self._rows[row.id]
            self._no_longer_fresh(row)

    def start(self, row: Row) -> bool:
        """A request of a program starts; returns whether it is the first."""
        first = row.start_rank is None
        if first:
            row.start_rank = self._starts
            self._starts += 1
        return first

    def unstart(self, row: Row) -> None:
        """Take back what `start` did; of several, the latest first."""
        if row.start_rank == self._starts - 1:
            self._starts -= 1
        row.start_rank = None

    def land(self, row: Row, tokens: int) -> None:
        """A request came to its end with so many tokens."""
        row.landed_tokens += tokens
        if row.knob is None:
            self._count(row, 1, tokens)

    def turned(self, row: Row, knob: int) -> None:
        """A program tells how far it has turned its knob."""
        row.knob = knob
        if knob > row.counted_branches:
            self._count(row, knob - row.counted_branches, row.landed_tokens - row.counted_tokens)

    def tell(self, row: Row, tokens: float) -> None:
        """The client of a program estimates what it needs yet: history says nothing of it any more."""
        row.told_tokens, row.told_at_tokens = tokens, row.attained_tokens
        self._no_longer_fresh(row)

    def granted(self, row: Row, goal: int) -> None:
        """A program tells up to which knob it was granted."""
        if next(reversed(row.goals), None) != goal:
            row.goals.pop(goal, None)
            row.goals[goal] = None

    def answered(self, row: Row) -> None:
        """A program has come to its answer: the knob at which it did tells what others of its kind will turn."""
        if row.knob is not None and self.knobs.observe(row.kind, row.goals, row.knob):
            self._outdated[row.kind] = len(self._fresh.get(row.kind, ()))

    def outdated(self, most: int) -> list[Row]:
        """Programs to be ranked anew because a mean of their kind has moved: so many at most, the next ones later."""
        rows: list[Row] = []
        while self._outdated and len(rows) < most:
            kind, left = next(iter(self._outdated.items()))
            fresh = self._fresh.get(kind, OrderedDict())
            turn = list(islice(fresh, min(left, most - len(rows))))
            rows += [self._rows[program] for program in turn]
            for program in turn:
                fresh.move_to_end(program)
            self._outdated[kind] = left - len(turn)
            if not turn or left == len(turn):
                del self._outdated[kind]
        return rows

    def _count(self, row: Row, branches: int, tokens: int) -> None:
        if not row.counted_branches:
            self._no_longer_fresh(row)
        row.counted_branches += branches
        row.counted_tokens += tokens
        for group in self.history.observe(row.kind, tokens, branches):
            self._outdated[group] = len(self._fresh.get(group, ()))

    def _no_longer_fresh(self, row: Row) -> None:
        for group in (row.kind, None):
            fresh = self._fresh.get(group)
            if fresh is not None:
                fresh.pop(row.id, None)
                if not fresh:
                    del self._fresh[group]
