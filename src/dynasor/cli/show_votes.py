"""How the answers of one program stand against each other: by number, by weight, or by the best of each."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum

from rich.bar import Bar
from rich.console import RenderableType
from rich.text import Text

from dynasor.bench.wording import count
from dynasor.cli import show_cells as cells
from dynasor.cli.show_branches import scores_of, was_dropped
from dynasor.launch.reopen import Reopened
from dynasor.programs.best_of_n import BestOfN
from dynasor.programs.choosing import path_score
from dynasor.programs.probed import Probed
from dynasor.programs.program import Program
from dynasor.programs.search import Search

_BAR_WIDTH = 24
_WIDEST_ANSWER = 30


@dataclass(frozen=True, slots=True)
class Vote:
    """An answer (None: branches without one) with its votes, and what they come to; None where they are but counted."""

    answer: str | None
    correct: float | None
    count: int
    weight: float | None


def votes_of(reopened: Reopened) -> list[Vote]:
    """The answers, the heaviest first, those without one last; none for chains, which speak for themselves."""
    program = reopened.session.program if reopened.session else None
    if isinstance(program, Probed):
        return []
    weights, together = _weights(program)
    found: dict[str | None, list[int]] = {}
    for index, answer in _voters(program, reopened):
        found.setdefault(None if answer is None else reopened.answers[answer].same, []).append(index)
    votes = [
        _vote(same, indices, [weights.get(index, 0.0) for index in indices], together, reopened)
        for same, indices in found.items()
    ]
    return sorted(votes, key=lambda vote: (vote.answer is None, -(vote.weight or 0.0), -vote.count))


def votes_table(votes: Sequence[Vote]) -> RenderableType:
    """A bar for each."""
    weighed = any(vote.weight is not None for vote in votes)
    most = max((vote.weight or 0.0) if weighed else vote.count for vote in votes) or 1.0
    table = cells.plain_table()
    cells.add_columns(table, f"answer _ _ votes{' weight' if weighed else ''}", right="votes weight")
    for vote in votes:
        size = (vote.weight or 0.0) if weighed else float(vote.count)
        answer = Text("no answer", style="dim")
        if vote.answer is not None:
            answer = cells.answer_cell(vote.answer, vote.correct, _WIDEST_ANSWER)
        weight = [cells.figure(vote.weight)] if weighed else []
        bar = Bar(size=most, begin=0.0, end=size, width=_BAR_WIDTH)
        table.add_row(answer, cells.judged(vote.correct), bar, count(vote.count), *weight)
    return table


def votes_json(votes: Sequence[Vote]) -> list[dict[str, object]]:
    """The same for machines."""
    return [
        {"answer": vote.answer, "correct": vote.correct, "count": vote.count, "weight": vote.weight} for vote in votes
    ]


def _vote(
    answer: str | None,
    indices: Sequence[int],
    weights: Sequence[float],
    together: Callable[[Iterable[float]], float] | None,
    reopened: Reopened,
) -> Vote:
    correct = reopened.answers[answer].correct if answer is not None else None
    weight = None if together is None or answer is None else together(weights)
    return Vote(answer, correct, len(indices), weight)


def _voters(program: Program | None, reopened: Reopened) -> list[tuple[int, str | None]]:
    """Those who vote, by index, the first first, and their answers."""
    if isinstance(program, Search):
        return sorted((node.index, node.answer) for node in program.candidates)
    whole = [request for request in reopened.past.requests.values() if request.ended and request.ended.is_whole]
    return sorted((request.index, request.answer) for request in whole if not was_dropped(request, reopened))


def _weights(program: Program | None) -> tuple[Mapping[int, float], Callable[[Iterable[float]], float] | None]:
    """What each voter weighs, and what the weights of one answer come to; None where voters are but counted."""
    if isinstance(program, Search):
        score = path_score(program.settings.path_score)
        weights = {node.index: score(node) for node in program.candidates}
        return weights, {"votes": None, "weighted": fsum, "best": max}[program.settings.answer]
    scores = scores_of(program) if program else {}
    return scores, None if not scores else max if isinstance(program, BestOfN) else fsum
