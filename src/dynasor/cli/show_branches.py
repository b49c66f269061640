"""Branches, or whatever requests a program made, in the order in which they ended. Knows no journal."""

from collections.abc import Iterator, Mapping

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from dynasor.cli import show_cells as cells
from dynasor.launch.past import PastRequest
from dynasor.launch.reopen import Reopened
from dynasor.programs.best_of_n import BestOfN, by_reward
from dynasor.programs.deepconf import DeepConf
from dynasor.programs.program import Program
from dynasor.programs.weighted import WeightedSelfConsistency
from dynasor.request import Completion


def branches_view(reopened: Reopened) -> Iterator[RenderableType]:
    """A line for each; columns that would be empty are left out."""
    requests = reopened.past.requests.values()
    scores = scores_of(reopened.session.program) if reopened.session else {}
    has_text = any(request.text.strip() for request in requests)
    table = cells.plain_table(expand=has_text)
    cells.add_columns(table, "branch answer _ tokens ended", right="branch tokens")
    if scores:
        cells.add_columns(table, "weight", right="weight")
    if reopened.session:
        cells.add_columns(table, "certaindex", right="certaindex")
    if has_text:
        cells.add_texts(table, "text")
    for request in requests:
        _add(table, request, reopened, scores, has_text=has_text)
    yield table


def branches_json(reopened: Reopened) -> dict[str, object]:
    """The same for machines; branches are numbered from 1."""
    scores = scores_of(reopened.session.program) if reopened.session else {}
    return {"branches": [_branch_json(request, reopened, scores) for request in reopened.past.requests.values()]}


def scores_of(program: Program) -> Mapping[int, float]:
    """What each branch weighs, by its index, where a program does not count all alike."""
    match program:
        case DeepConf():  # a branch that was not sure enough has no vote
            least = program.threshold
            return {
                branch.id.index: program.weight_of(branch) if least is None or _lowest(branch) >= least else 0.0
                for branch in program.branches
            }
        case WeightedSelfConsistency():
            return {branch.id.index: program.weight_of(branch) for branch in program.branches}
        case BestOfN():
            scorer = program.setup.scorer or by_reward
            return {branch.id.index: scorer(branch) for branch in program.branches}
        case _:
            return {}


def was_dropped(request: PastRequest, reopened: Reopened) -> bool:
    """Whether it came to its end just when it was cut, so that its program did not take it in."""
    if reopened.session is None or request.ended is None or not request.ended.is_whole:
        return False
    return all(branch.id.index != request.index for branch in reopened.session.program.branches)


def _lowest(branch: Completion) -> float:
    return branch.lowest_logprob or 0.0


def _add(
    table: Table, request: PastRequest, reopened: Reopened, scores: Mapping[int, float], *, has_text: bool
) -> None:
    told = reopened.answers.get(request.answer) if request.answer is not None else None
    correct = told.correct if told else None
    table.add_row(
        str(request.index + 1),
        cells.answer_cell(request.answer, correct),
        cells.judged(correct),
        cells.tokens_cell(request.tokens),
        "cut" if was_dropped(request, reopened) else cells.ended_word(request.ended),
        *([cells.figure(scores.get(request.index))] if scores else []),
        *([cells.figure(reopened.session.readings.get(request.index))] if reopened.session else []),
        *([Text(cells.one_line(request.text))] if has_text else []),
    )


def _branch_json(request: PastRequest, reopened: Reopened, scores: Mapping[int, float]) -> dict[str, object]:
    told = reopened.answers.get(request.answer) if request.answer is not None else None
    reading = reopened.session.readings.get(request.index) if reopened.session else None
    completion = request.landed.completion if request.landed else None
    return {
        "number": request.index + 1,
        "answer": request.answer,
        "correct": told.correct if told else None,
        "tokens": request.tokens,
        "ended": "cancelled" if was_dropped(request, reopened) else request.ended,
        "weight": scores.get(request.index),
        "reward": completion.reward if completion else None,
        "mean_logprob": completion.mean_logprob if completion else None,
        "certaindex": None if reading is None else round(reading, 6),
        "text": request.text,
        "error": completion.error if completion else None,
    }
