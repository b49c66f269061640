import csv
import hashlib
import io
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynasor.datasets.columns import Columns
from dynasor.datasets.problem import Problem
from dynasor.datasets.problem_sets import FORMATS, problem_set
from dynasor.errors import BadRow, UnknownName, UsageError


def rows_file(folder: Path, *rows: dict[str, object]) -> str:
    path = folder / "set.jsonl"
    path.write_bytes(b"\n".join(map(msgspec.json.encode, rows)))
    return str(path)


def one(folder: Path, row: dict[str, object], form: str = "auto") -> Problem:
    (problem,) = problem_set(rows_file(folder, row), format=form)
    return problem


@pytest.mark.parametrize("column", ["question", "problem", "prompt", "input", "query"])
def test_the_question_is_found_by_its_usual_names(column: str, tmp_path: Path) -> None:
    assert one(tmp_path, {"note": "x", column: "Why?"}) == Problem("row-1", "Why?")


@pytest.mark.parametrize("column", ["gold", "answer", "target", "expected", "final_answer", "solution"])
def test_the_answer_is_found_by_its_usual_names(column: str, tmp_path: Path) -> None:
    assert one(tmp_path, {"question": "Why?", column: "because"}).gold == "because"


@pytest.mark.parametrize("column", ["id", "unique_id", "task_id", "_id"])
def test_the_id_is_found_by_its_usual_names(column: str, tmp_path: Path) -> None:
    assert one(tmp_path, {"question": "Why?", column: 7}).id == "7"


def test_the_likeliest_name_wins(tmp_path: Path) -> None:
    row: dict[str, object] = {"solution": "5", "answer": "6", "gold": "7", "input": "no", "question": "yes"}
    assert one(tmp_path, row) == Problem("row-1", "yes", "7")


def test_columns_of_other_names(tmp_path: Path) -> None:
    source = rows_file(tmp_path, {"question": "no", "q": "yes", "a": "1", "key": "k"})
    assert list(problem_set(source, columns=Columns("q", "a", "key"))) == [Problem("k", "yes", "1")]


@pytest.mark.parametrize("columns", [Columns(question="x"), Columns(answer="x"), Columns(id="x")])
def test_an_unknown_column(columns: Columns, tmp_path: Path) -> None:
    source = rows_file(tmp_path, {"question": "a", "gold": "1"})
    with pytest.raises(UnknownName, match=r"^unknown column 'x' \(known: gold, question\)$"):
        list(problem_set(source, columns=columns))


def test_ids_count_rows_where_none_is_given(tmp_path: Path) -> None:
    source = rows_file(tmp_path, {"question": "a"}, {"question": "b", "id": "own"}, {"question": "c", "id": None})
    assert [problem.id for problem in problem_set(source)] == ["row-1", "own", "row-3"]


def test_an_answer_may_be_missing(tmp_path: Path) -> None:
    source = rows_file(tmp_path, {"question": "a"}, {"question": "b", "gold": "2"}, {"question": "c", "gold": None})
    assert [problem.gold for problem in problem_set(source)] == [None, "2", None]


def test_a_row_without_an_answer_does_not_take_that_of_another_column(tmp_path: Path) -> None:
    source = rows_file(tmp_path, {"question": "a", "gold": "1"}, {"question": "b", "solution": "First we add"})
    assert [problem.gold for problem in problem_set(source)] == ["1", None]


@pytest.mark.parametrize(
    ("given", "gold"),
    [
        (18, "18"),
        (18.0, "18"),
        (-2.5, "-2.5"),
        (0, "0"),
        (10**20, "100000000000000000000"),
        ("18.0", "18.0"),
        (" 18 ", "18"),
        ("", None),
        ("So 9 * 2 = 18.\n#### 18", "18"),
        ("#### 1,234,567", "1234567"),
        ("#### -1,234.50  \n", "-1234.50"),
        ("#### (1,2)", "(1,2)"),
        ("#### 12,34", "12,34"),
        ("#### 5\nand then more", "#### 5\nand then more"),
        (r"Thus $x = \boxed{\frac{1}{2}}$.", r"\frac{1}{2}"),
        (r"First \boxed{1}, no, \boxed{2}", "2"),
        (r"so there are \boxed 12. Done", "12"),
        (r"in all, $\boxed 1,200$ ways", "1,200"),
    ],
)
def test_what_a_data_set_gives_becomes_an_answer(given: object, gold: str | None, tmp_path: Path) -> None:
    assert one(tmp_path, {"question": "a", "gold": given}).gold == gold


def test_gsm8k(tmp_path: Path) -> None:
    assert one(tmp_path, {"question": "a", "answer": "9 * 2\n#### 18"}, "gsm8k").gold == "18"
    assert one(tmp_path, {"question": "a", "gold": "18", "solution": "9 * 2"}, "gsm8k").gold == "18"


def test_math(tmp_path: Path) -> None:
    worked: dict[str, object] = {"problem": "a", "solution": r"so \boxed{x^2}"}
    assert one(tmp_path, worked, "math") == Problem("row-1", "a", "x^2")
    assert one(tmp_path, worked | {"answer": "y"}, "math").gold == "y"
    assert one(tmp_path, {"question": "a", "gold": "p - q"}, "math").gold == "p - q"


@pytest.mark.parametrize(
    ("form", "question", "answer"), [("gsm8k", "question", "answer"), ("math", "problem", "solution")]
)
def test_a_worked_solution_that_marks_no_answer_is_a_bad_row(
    form: str, question: str, answer: str, tmp_path: Path
) -> None:
    with pytest.raises(BadRow, match=f"line 1: no answer is marked .* column '{answer}'"):
        one(tmp_path, {question: "a", answer: "First we add."}, form)


def test_asdiv_keeps_what_is_no_number(tmp_path: Path) -> None:
    assert one(tmp_path, {"question": "a", "gold": "red; blue", "numeric": False}, "asdiv").gold == "red; blue"


def test_a_format_does_not_take_the_columns_of_another(tmp_path: Path) -> None:
    with pytest.raises(BadRow, match="none of the columns question;"):
        one(tmp_path, {"problem": "a", "solution": "1"}, "gsm8k")


def test_an_unknown_format(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="unknown problem format 'gsm9k'; did you mean 'gsm8k'"):
        problem_set(rows_file(tmp_path, {"question": "a"}), format="gsm9k")
    files = {"auto", "jsonl", "csv", "parquet"}
    code = {"humaneval", "mbpp", "livecodebench", "cruxeval", "cruxeval-input"}
    assert set(FORMATS) == files | code | {"gsm8k", "math", "asdiv"}


TEN: list[dict[str, object]] = [{"question": f"{n}?"} for n in range(10)]


@pytest.mark.parametrize(
    ("limit", "offset", "first", "last"),
    [(None, 0, 1, 10), (3, 0, 1, 3), (3, 4, 5, 7), (None, 8, 9, 10), (50, 9, 10, 10)],
)
def test_limit_and_offset(limit: int | None, offset: int, first: int, last: int, tmp_path: Path) -> None:
    problems = problem_set(rows_file(tmp_path, *TEN), limit=limit, offset=offset)
    assert [problem.id for problem in problems] == [f"row-{n}" for n in range(first, last + 1)]


def test_nothing_is_left_after_the_offset(tmp_path: Path) -> None:
    problems = problem_set(rows_file(tmp_path, *TEN), offset=10)
    with pytest.raises(UsageError, match=r"holds no problems after its first 10$"):
        list(problems)


@pytest.mark.parametrize(("limit", "offset"), [(0, 0), (-1, 0), (None, -1)])
def test_a_limit_or_offset_out_of_range(limit: int | None, offset: int, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="limit must be 1 or more and offset 0 or more"):
        problem_set(rows_file(tmp_path, *TEN), limit=limit, offset=offset)


def test_a_limit_stops_reading(tmp_path: Path) -> None:
    path = tmp_path / "set.jsonl"
    path.write_bytes(b'{"question": "a"}\n{"question": "b"}\nnot JSON\n')
    assert len(list(problem_set(str(path), limit=2))) == 2


def test_the_digest_is_that_of_the_bytes_and_the_name_that_of_the_file(tmp_path: Path) -> None:
    problems = problem_set(rows_file(tmp_path, *TEN), limit=1)
    assert problems.digest() == hashlib.sha256((tmp_path / "set.jsonl").read_bytes()).hexdigest()
    assert problems.name == "set"


def test_the_questions_of_the_shipped_recording_are_a_problem_set() -> None:
    problems = problem_set("svamp")
    first = next(iter(problems))
    assert (first.id, first.gold, len(list(problems)), problems.name) == ("svamp-0", "51", 999, "svamp")


@pytest.fixture(scope="module")
def round_trip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("round_trip")


plain = st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda text: bool(text.strip()))
answers = plain.filter(lambda text: "####" not in text and "\\" not in text)
tables = st.lists(st.tuples(plain, plain, answers), min_size=1, max_size=4, unique_by=lambda row: row[0])


@settings(max_examples=40)
@given(tables)
def test_json_lines_come_back_as_they_were(round_trip: Path, table: list[tuple[str, str, str]]) -> None:
    path = round_trip / "set.jsonl"
    rows = [{"id": key, "question": question, "gold": gold} for key, question, gold in table]
    path.write_bytes(b"\n".join(map(msgspec.json.encode, rows)))
    assert list(problem_set(str(path))) == [Problem(key, question, gold.strip()) for key, question, gold in table]


@settings(max_examples=40)
@given(tables)
def test_csv_comes_back_as_it_was(round_trip: Path, table: list[tuple[str, str, str]]) -> None:
    path = round_trip / "set.csv"
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([("id", "question", "gold"), *table])
    path.write_bytes(text.getvalue().encode())
    assert list(problem_set(str(path))) == [Problem(key, question, gold.strip()) for key, question, gold in table]
