"""Recorded paths with rewards: which way to choose an answer is right most often, on the same paths (paper 2.1).

Every way is one of the choices of the search programs. Independent samples are taken in seeded orders; what a search
came to is taken as a whole.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from dynasor.answers.grouping import ByText
from dynasor.bench.resampling import resampled_ratios
from dynasor.datasets.problem import judge
from dynasor.datasets.search_traces import RecordedPath, SearchRecording, SearchTrace
from dynasor.metrics.intervals import Estimate
from dynasor.programs.choosing import CHOICES, REDUCTIONS, path_score
from dynasor.programs.tree import Node

SAMPLES, FOUND = "samples", "search"
VOTES = "votes"

Drawn = Sequence[Sequence[RecordedPath]]
"""The paths of one problem, once for every order."""


@dataclass(frozen=True, slots=True)
class ChoiceRow:
    """One way to choose among some paths of every problem.

    Attributes:
        paths: whose: independent "samples", or those that a "search" came to.
        count: how many a problem; for a search the most.
        score: how the rewards along a path make its score; "" where they do not matter.
        tokens: of all these paths, a problem; of a search, all that it generated.
        difference: accuracy against the plain vote of the same paths; of a search that came to one path, against the
            plain vote of all samples, where there are any.
    """

    paths: str
    count: int
    choice: str
    score: str
    problems: int
    orders: int
    accuracy: Estimate
    difference: Estimate
    tokens: float


def counts_of(trace: SearchTrace) -> list[int]:
    """1, 2, 4, ... of the samples, and all that every problem has."""
    most = min(len(recording.samples) for recording in trace.recordings)
    return [n for n in (1 << power for power in range(most.bit_length())) if n < most] + ([most] if most else [])


def study_choices(trace: SearchTrace, orders: int) -> list[ChoiceRow]:
    """Every choice on every number of samples, and on what the searches came to."""
    recordings = trace.recordings
    rows: list[ChoiceRow] = []
    voted: list[float] | None = None
    for count in counts_of(trace):
        drawn = [[order[:count] for order in in_orders(recording, orders)] for recording in recordings]
        voted = _right(recordings, drawn, VOTES, "last")
        rows += _choices(recordings, drawn, SAMPLES, voted)
    if any(recording.found for recording in recordings):
        found = [[recording.found] for recording in recordings]
        alone = max(len(recording.found) for recording in recordings) == 1
        shared = [right / orders for right in voted] if alone and voted else _right(recordings, found, VOTES, "last")
        rows += _choices(recordings, found, FOUND, shared)
    return rows


def in_orders(recording: SearchRecording, orders: int) -> list[list[RecordedPath]]:
    """The samples of one problem in seeded orders."""
    drawn = []
    for seed in range(orders):
        order = list(recording.samples)
        Random(f"{seed} {recording.problem.id}").shuffle(order)
        drawn.append(order)
    return drawn


def finished_node(index: int, path: RecordedPath) -> Node:
    """The last node of a path, as it hangs in the tree of a program."""
    node = Node(-1)
    for depth, reward in enumerate(path.rewards, 1):
        node = Node(index, node, depth=depth, reward=reward)
    node.answer = path.answer
    return node


def _choices(
    recordings: Sequence[SearchRecording], drawn: Sequence[Drawn], paths: str, voted: list[float]
) -> Iterator[ChoiceRow]:
    orders = len(drawn[0])
    ones = [float(orders)] * len(recordings)
    tokens = sum(_tokens(order, paths) for problem in drawn for order in problem) / sum(ones)
    for choice, score in _ways(drawn):
        right = _right(recordings, drawn, choice, score or "last")
        lead = [own - other for own, other in zip(right, voted, strict=True)]
        figures = resampled_ratios({"accuracy": (right, ones), "difference": (lead, ones)})
        count = max(len(order) for problem in drawn for order in problem)
        yield ChoiceRow(paths, count, choice, score, len(recordings), orders, **figures, tokens=tokens)


def _ways(drawn: Sequence[Drawn]) -> list[tuple[str, str]]:
    """Choices and scores, but for those that cannot differ."""
    paths = [path for problem in drawn for order in problem for path in order]
    if all(len(order) == 1 for problem in drawn for order in problem):
        return [(VOTES, "")]
    scores = list(REDUCTIONS) if any(len(path.rewards) > 1 for path in paths) else ["last"]
    return [(VOTES, ""), *((choice, score) for choice in CHOICES if choice != VOTES for score in scores)]


def _right(recordings: Sequence[SearchRecording], drawn: Sequence[Drawn], choice: str, score: str) -> list[float]:
    """Per problem, summed over its orders, how right the chosen answer is."""
    scored = path_score(score)

    def chosen(paths: Sequence[RecordedPath]) -> str | None:
        nodes = [finished_node(index, path) for index, path in enumerate(paths)]
        return CHOICES[choice](nodes, scored, ByText())

    return [
        sum(judge(recording.problem, chosen(order)) or 0.0 for order in problem)
        for recording, problem in zip(recordings, drawn, strict=True)
    ]


def _tokens(paths: Sequence[RecordedPath], whose: str) -> int:
    return max((path.tokens for path in paths), default=0) if whose == FOUND else sum(path.tokens for path in paths)
