"""Which column of a table is the question, which the right answer and which the id. Knows no file format."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dynasor.datasets.rows import Row
from dynasor.errors import UnknownName

ID_NAMES = ("id", "unique_id", "task_id", "_id")


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that hold the question, the right answer and the id; None: to be found by their usual names."""

    question: str | None = None
    answer: str | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class ColumnNames:
    """The usual names of the columns in a format, the likeliest first."""

    question: tuple[str, ...] = ("question", "problem", "prompt", "input", "query")
    answer: tuple[str, ...] = ("gold", "answer", "target", "expected", "final_answer", "solution")


def settled(columns: Columns, usual: ColumnNames, first: Row) -> Columns:
    """The columns of a set, by its first row. The answer and the id may still come with a later row.

    Raises `UnknownName` where the user's column is not in the row, `BadRow` where no column holds the question.
    """
    for given in (columns.question, columns.answer, columns.id):
        if given is not None and given not in first.values:
            raise UnknownName("column", given, first.values)
    question = columns.question or _present(usual.question, first.values)
    if question is None:
        looked_for, there = ", ".join(usual.question), ", ".join(first.values) or "none"
        raise first.bad(f"no question: none of the columns {looked_for}; tell which it is (columns: {there})")
    return completed(replace(columns, question=question), usual, first)


def completed(columns: Columns, usual: ColumnNames, row: Row) -> Columns:
    """The columns, with the answer and the id settled by this row where they were not yet.

    A column once settled stays, so that a row without it has no answer rather than that of a column meant otherwise.
    """
    if columns.answer is not None and columns.id is not None:
        return columns
    answer = columns.answer or _present(usual.answer, row.values)
    return replace(columns, answer=answer, id=columns.id or _present(ID_NAMES, row.values))


def _present(names: tuple[str, ...], values: Mapping[str, object]) -> str | None:
    return next((name for name in names if name in values), None)
