"""Problems out of files and from Hugging Face: the named formats, and `problem_set`, which opens them.

Knows which columns and which marks a format has; knows nothing of how a file is read.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from dynasor.datasets.code_sets import CODE_FORMATS, CodeFormat
from dynasor.datasets.columns import ColumnNames, Columns, completed, settled
from dynasor.datasets.files import READERS, FileRows, found
from dynasor.datasets.gold import gold_answer, marked_answer
from dynasor.datasets.hub import SCHEME, HubRows
from dynasor.datasets.livecodebench import LIVECODEBENCH
from dynasor.datasets.problem import Problem
from dynasor.datasets.rows import Ids, Row, Rows
from dynasor.errors import UnknownName, UsageError


@dataclass(frozen=True, slots=True)
class Format:
    """How a data set writes its problems.

    Attributes:
        names: the usual names of its columns.
        worked: columns that hold a worked solution. It has to mark its answer, or every answer would be judged wrong.
        kind: how the file is read, one of `READERS`; None: by the file's ending.
    """

    names: ColumnNames = field(default_factory=ColumnNames)
    worked: tuple[str, ...] = ()
    kind: str | None = None

    def problem(self, row: Row, columns: Columns, default_id: str) -> Problem:
        """Read one row; raises `BadRow`."""
        question = row.values.get(columns.question or "")
        if not isinstance(question, str) or not question.strip():
            raise row.bad(f"the question (column '{columns.question}') is missing, empty or not text")
        given_id = row.text(columns.id) if columns.id else None
        gold = self._gold(row, columns.answer) if columns.answer else None
        return Problem(id=given_id or default_id, question=question, gold=gold)

    def _gold(self, row: Row, column: str) -> str | None:
        text = row.text(column)
        if text is None or column not in self.worked:
            return text and gold_answer(text)
        answer = marked_answer(text)
        if answer is None:
            raise row.bad(f"no answer is marked (by #### or \\boxed) in column '{column}'; read it with format 'auto'")
        return answer


_WORDS = Path(__file__).with_name("words")
BUILT_IN = {"words": _WORDS / "words.jsonl.gz", "words:calibration": _WORDS / "words-calibration.jsonl.gz"}

IN_CODE = {"livecodebench": LIVECODEBENCH, **CODE_FORMATS}

FORMATS: dict[str, Format | CodeFormat] = {
    "auto": Format(),
    "gsm8k": Format(ColumnNames(("question",), ("gold", "answer")), worked=("answer",)),
    "math": Format(ColumnNames(("problem", "question"), ("gold", "answer", "solution")), worked=("solution",)),
    "asdiv": Format(ColumnNames(("question",), ("gold", "answer"))),
    **{kind: Format(kind=kind) for kind in READERS},
    **IN_CODE,
}


class ProblemSet:
    """The problems of one source, read anew, row by row, at every iteration; only the ids are held.

    Iterating raises `BadRow` for a row that cannot be read or whose id has been met before, and `UsageError` where
    there is no problem at all.
    """

    def __init__(
        self, rows: Rows, form: Format | CodeFormat, columns: Columns, *, limit: int | None = None, offset: int = 0
    ) -> None:
        if offset < 0 or (limit is not None and limit < 1):
            raise UsageError(f"limit must be 1 or more and offset 0 or more, not {limit} and {offset}")
        self._rows, self._form, self._columns = rows, form, columns
        self._limit, self._offset = limit, offset

    @property
    def name(self) -> str:
        """A short name for people."""
        return self._rows.name

    def __iter__(self) -> Iterator[Problem]:
        empty = True
        for problem in islice(self._problems(), self._offset, self._limit and self._offset + self._limit):
            empty = False
            yield problem
        if empty:
            after = f" after its first {self._offset}" if self._offset else ""
            raise UsageError(f"{self._rows.source} holds no problems{after}")

    def _problems(self) -> Iterator[Problem]:
        columns, ids = None, Ids(self._rows.source)
        form = self._form
        for number, row in enumerate(self._rows, 1):
            form = self._told(row) if number == 1 else form
            columns = completed(columns, form.names, row) if columns else settled(self._columns, form.names, row)
            problem = form.problem(row, columns, f"row-{number}")
            ids.admit(problem.id, row.line)
            yield problem

    def _told(self, first: Row) -> Format | CodeFormat:
        """The format: where neither it nor a column was said, that of the set in code which the first row tells."""
        if self._form != FORMATS["auto"] or self._columns != Columns():
            return self._form
        return next((form for form in IN_CODE.values() if form.tells(first)), self._form)

    def digest(self) -> str:
        """Hexadecimal SHA-256 of the source: of all of it, whatever the limit and the offset."""
        return self._rows.digest()


def problem_set(
    source: str,
    *,
    format: str = "auto",
    columns: Columns = Columns(),  # noqa: B008 (frozen)
    limit: int | None = None,
    offset: int = 0,
) -> ProblemSet:
    """Open a set of problems; they are read when it is iterated.

    Args:
        source: a `.jsonl`, `.csv` or `.parquet` file, the first two also compressed (`.gz`, `.zst`);
            `hf:OWNER/NAME[/CONFIG]:SPLIT`; or a set that ships with the package: `words` or `words:calibration`, on
            which the built-in model was not trained, or the questions of `svamp`.
        format: one of `FORMATS`. `auto` finds the columns by their usual names, and tells a set in code by them;
            `jsonl`, `csv` and `parquet` find the columns too, and read the file so whatever its ending.
        columns: columns with other names than the usual ones.
        limit: at most so many problems; None: all.
        offset: leave out so many at the beginning. They are still checked.

    Raises `UsageError` where there is no such file, `UnknownName` where there is no such format.
    """
    if format not in FORMATS:
        raise UnknownName("problem format", format, FORMATS)
    form = FORMATS[format]
    rows: Rows = HubRows(source) if source.startswith(SCHEME) else FileRows(found(source, BUILT_IN), form.kind)
    return ProblemSet(rows, form, columns, limit=limit, offset=offset)
