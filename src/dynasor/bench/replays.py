"""Policies side by side on one recording: every policy on every problem, under many seeded orders of its samples.

Everything runs through the sessions and allocators that serve live runs. Problems are the independent units: what the
orders of one problem's samples give is averaged before anything is resampled.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from dynasor.allocation.allocator import Allocator, InFlight, InRounds
from dynasor.allocation.baselines import Even
from dynasor.allocation.progress import Policy
from dynasor.answers.grouping import ByText
from dynasor.answers.voting import Ballot
from dynasor.bench.resampling import resampled_ratios
from dynasor.datasets.problem import Problem, Recording, judge
from dynasor.engines.recorded import RecordedEngine
from dynasor.metrics.intervals import Estimate
from dynasor.programs.program import Setup
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.programs.session import Session
from dynasor.runtime.drive import drive

EVEN, ORACLE = "even", "oracle"

PolicyOf = Callable[[str], Policy]
"""The policy of a problem, by its id: most are the same for all, but a fitted one must not see its own fold."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A policy under a name, in rounds or in flight."""

    name: str
    policy_of: PolicyOf
    in_flight: bool = False

    def allocator(self, problem: str) -> Allocator:
        """A fresh allocator for one program."""
        return (InFlight if self.in_flight else InRounds)(self.policy_of(problem))


class Drawn(NamedTuple):
    """What one program came to under one order: its answer, and what it took."""

    answer: str | None
    tokens: int
    branches: int


@dataclass(slots=True)
class Columns:
    """Per problem, summed over the orders."""

    correct: list[float] = field(default_factory=list)
    tokens: list[float] = field(default_factory=list)
    flips: list[float] = field(default_factory=list)
    branches: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Row:
    """One policy at one cap.

    Attributes:
        saved: the share of even allocation's tokens that it did not take.
        accuracy_difference: against even allocation, in shares of 1.
        flipped: the share of (problem, order) pairs with an answer other than even allocation's.
        lossless: whether there is none.
    """

    name: str
    cap: int
    problems: int
    orders: int
    tokens: Estimate
    branches: float
    accuracy: Estimate
    saved: Estimate
    accuracy_difference: Estimate
    flipped: Estimate
    lossless: bool


def compare_policies(
    recordings: Sequence[Recording], contenders: Sequence[Contender], *, cap: int, orders: int
) -> list[Row]:
    """Run every contender on every problem under `orders` orders, beside even allocation and the oracle."""
    samples = {recording.problem.id: recording.samples for recording in recordings}
    engines = [RecordedEngine(samples, seed=seed) for seed in range(orders)]
    table = {name: Columns() for name in (EVEN, *(contender.name for contender in contenders), ORACLE)}
    for recording in recordings:
        for columns in table.values():
            for column in (columns.correct, columns.tokens, columns.flips, columns.branches):
                column.append(0.0)
        for engine in engines:
            _run_problem(recording, engine, contenders, table, cap)
    return [_row(name, columns, table[EVEN], cap, orders) for name, columns in table.items()]


def oracle_branches(votes: Sequence[str | None]) -> int:
    """The fewest branches from which on the majority is that of all: what a prophet would draw to be sure."""
    ballot = Ballot(ByText())
    majorities = []
    for branch, vote in enumerate(votes):
        ballot.cast(branch, vote)
        majorities.append(ballot.majority)
    count = len(majorities)
    while count > 1 and majorities[count - 2] == majorities[-1]:
        count -= 1
    return count


def _run_problem(
    recording: Recording,
    engine: RecordedEngine,
    contenders: Sequence[Contender],
    table: Mapping[str, Columns],
    cap: int,
) -> None:
    problem, setup = recording.problem, Setup(cap=cap, grouping=ByText)
    even = _drawn(Session(SelfConsistency(problem, setup), InRounds(Even())), engine)
    _add(table[EVEN], problem, even, even.answer)
    for contender in contenders:
        session = Session(SelfConsistency(problem, setup), contender.allocator(problem.id))
        _add(table[contender.name], problem, _drawn(session, engine), even.answer)
    drawn = [recording.samples[place] for place in engine.order(problem.id)[:cap]]
    count = oracle_branches([sample.answer for sample in drawn])
    oracle = Drawn(even.answer, sum(sample.tokens for sample in drawn[:count]), count)
    _add(table[ORACLE], problem, oracle, even.answer)


def _drawn(session: Session, engine: RecordedEngine) -> Drawn:
    outcome = drive(session, engine)
    return Drawn(outcome.answer, outcome.tokens, outcome.knob)


def _add(columns: Columns, problem: Problem, drawn: Drawn, even_answer: str | None) -> None:
    columns.correct[-1] += judge(problem, drawn.answer) or 0.0
    columns.tokens[-1] += drawn.tokens
    columns.flips[-1] += drawn.answer != even_answer
    columns.branches[-1] += drawn.branches


def _row(name: str, columns: Columns, even: Columns, cap: int, orders: int) -> Row:
    ones = [float(orders)] * len(columns.tokens)
    difference = [own - other for own, other in zip(columns.correct, even.correct, strict=True)]
    figures = resampled_ratios(
        {
            "accuracy": (columns.correct, ones),
            "tokens": (columns.tokens, ones),
            "spent": (columns.tokens, even.tokens),
            "difference": (difference, ones),
            "flipped": (columns.flips, ones),
        }
    )
    spent = figures["spent"]
    return Row(
        name=name,
        cap=cap,
        problems=len(ones),
        orders=orders,
        tokens=figures["tokens"],
        branches=sum(columns.branches) / sum(ones),
        accuracy=figures["accuracy"],
        saved=Estimate(1 - spent.value, 1 - spent.high, 1 - spent.low),
        accuracy_difference=figures["difference"],
        flipped=figures["flipped"],
        lossless=not any(columns.flips),
    )
