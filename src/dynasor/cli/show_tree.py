"""A search as one sees it: its tree, a step in each line, with the best path to its answer. Knows no journal."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from dynasor.bench.wording import count
from dynasor.cli.show_cells import CHOSEN, add_columns, add_texts, answer_cell, figure, judged, one_line, plain_table
from dynasor.cli.show_outline import children_in, outline
from dynasor.launch.reopen import Answer, Reopened
from dynasor.programs.choosing import path_score
from dynasor.programs.mcts import Mcts
from dynasor.programs.search import Search
from dynasor.programs.tree import Node


def tree_view(search: Search, reopened: Reopened) -> Iterator[RenderableType]:
    """The tree, and what it leaves out."""
    shown = list(outline(search.tree.root, children_in(search)))
    best = best_path(search, reopened)
    by_visits = isinstance(search, Mcts)
    table = plain_table(expand=True)
    add_columns(table, "_ step", right="step")
    add_texts(table, "")
    add_columns(table, f"reward {'visits value' if by_visits else 'next'} tokens", "reward visits value next tokens")
    add_columns(table, "answer _")
    for before, node in shown:
        _add(table, before, node, reopened, by_visits=by_visits, best=node in best)
    yield table
    if best:
        yield Text(f"{CHOSEN} the best path to the answer", style="dim")
    if copies := len(search.tree.nodes) - len(shown):
        yield Text(f"{count(copies)} more said the same as a sibling: they were paid for, and left out", style="dim")


def tree_json(search: Search, reopened: Reopened) -> dict[str, object]:
    """The same for machines; steps are numbered from 1, as requests are, and those without a parent come first."""
    best = best_path(search, reopened)
    shown = [node for _, node in outline(search.tree.root, children_in(search))]
    return {"steps": [_step_json(node, reopened, best=node in best) for node in shown]}


def best_path(search: Search, reopened: Reopened) -> list[Node]:
    """The steps of the finished path that speaks most for the answer that was given; none where none was."""
    finished = reopened.past.finished
    if finished is None or finished.answer is None:
        return []
    same = reopened.answers[finished.answer].same
    score = path_score(search.settings.path_score)
    agreeing = [node for node in search.candidates if (told := _told(node, reopened)) and told.same == same]
    return max(agreeing, key=lambda node: (score(node), -node.index)).path if agreeing else []


def _add(table: Table, before: str, node: Node, reopened: Reopened, *, by_visits: bool, best: bool) -> None:
    told = _told(node, reopened)
    nexts = count(len(node.children)) if node.children else ""
    visits = [count(node.visits), figure(_value(node))] if by_visits else [nexts]
    answer = answer_cell(node.answer, told.correct if told else None, 10) if node.end else Text()
    if node.end and node.answer is None:
        answer = Text(f"– ({node.end})", style="dim")
    table.add_row(
        CHOSEN if best else "",
        count(node.index + 1),
        Text(before, style="dim") + Text(one_line(node.text), style="bold" if best else ""),
        figure(node.reward),
        *visits,
        count(_own_tokens(node)),
        answer,
        judged(told.correct if told else None),
    )


def _told(node: Node, reopened: Reopened) -> Answer | None:
    return None if node.answer is None else reopened.answers.get(node.answer)


def _value(node: Node) -> float | None:
    """The mean reward of the iterations that passed."""
    return node.value_sum / node.visits if node.visits else None


def _own_tokens(node: Node) -> int:
    return node.tokens - (node.parent.tokens if node.parent else 0)


def _step_json(node: Node, reopened: Reopened, *, best: bool) -> dict[str, object]:
    told = _told(node, reopened)
    value = _value(node)
    return {
        "number": node.index + 1,
        "parent": node.parent.index + 1 if node.parent and node.parent.parent else None,
        "text": node.text,
        "reward": round(node.reward, 6),
        "tokens": _own_tokens(node),
        "visits": node.visits,
        "value": None if value is None else round(value, 6),
        "end": node.end,
        "answer": node.answer,
        "correct": told.correct if told else None,
        "best": best,
    }
