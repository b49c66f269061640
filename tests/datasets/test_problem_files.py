import csv
import gzip
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from dynasor.datasets.problem import Problem
from dynasor.datasets.problem_sets import problem_set
from dynasor.errors import BadRow, MissingExtra, UnknownName, UsageError

ROWS = [
    {"id": "a", "question": "How many legs has a cat?", "gold": "4"},
    {"id": "b", "question": "Und ein Käfer?", "gold": "6"},
]
PROBLEMS = [Problem("a", "How many legs has a cat?", "4"), Problem("b", "Und ein Käfer?", "6")]
JSON_LINES = b"".join(msgspec.json.encode(row) + b"\n" for row in ROWS)


def read(path: Path, **settings: Any) -> list[Problem]:
    return list(problem_set(str(path), **settings))


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def compressed(content: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(content)


def write_csv(path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["id", "question", "gold"])
        writer.writeheader()
        writer.writerows(ROWS)


def write_parquet(path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS), path)


WRITERS: dict[str, Callable[[Path], object]] = {
    "set.jsonl": lambda path: path.write_bytes(JSON_LINES),
    "set.ndjson": lambda path: path.write_bytes(JSON_LINES),
    "set.JSON": lambda path: path.write_bytes(JSON_LINES),
    "set.v2.jsonl.gz": lambda path: path.write_bytes(gzip.compress(JSON_LINES)),
    "set-0.5.json.zst": lambda path: path.write_bytes(compressed(JSON_LINES)),
    "set.csv": write_csv,
    "set.parquet": write_parquet,
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_ending_reads_the_same_problems(name: str, tmp_path: Path) -> None:
    WRITERS[name](tmp_path / name)
    problems = problem_set(str(tmp_path / name))
    assert list(problems) == PROBLEMS
    assert list(problems) == PROBLEMS, "a set can be read again"


@pytest.mark.parametrize(("kind", "writer"), [("csv", "set.csv"), ("parquet", "set.parquet"), ("jsonl", "set.jsonl")])
def test_a_format_can_stand_in_for_the_ending(kind: str, writer: str, tmp_path: Path) -> None:
    path = tmp_path / "downloaded"
    WRITERS[writer](path)
    assert read(path, format=kind) == PROBLEMS


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + JSON_LINES,
        b"\n  \n" + JSON_LINES.replace(b"\n", b"\n\n"),
        JSON_LINES.replace(b"\n", b"\r\n"),
        JSON_LINES.rstrip(),
    ],
    ids=["byte order mark", "blank lines", "Windows line ends", "no last line end"],
)
def test_harmless_oddities(content: bytes, tmp_path: Path) -> None:
    assert read(written(tmp_path / "set.jsonl", content)) == PROBLEMS


def test_several_zstandard_frames_are_one_file(tmp_path: Path) -> None:
    first, second = JSON_LINES.splitlines(keepends=True)
    assert read(written(tmp_path / "set.jsonl.zst", compressed(first) + compressed(second))) == PROBLEMS


def test_a_long_line_across_many_chunks(tmp_path: Path) -> None:
    question = "".join(chr(33 + (7 * i * i) % 89) for i in range(300_000)).replace("\\", "").replace('"', "")
    row = msgspec.json.encode({"question": question})
    assert read(written(tmp_path / "long.jsonl.zst", compressed(row)))[0].question == question


def test_csv_with_quoted_lines_spaces_and_an_empty_row(tmp_path: Path) -> None:
    path = written(tmp_path / "set.csv", b'question, answer\r\n"two\nlines, really","1,000"\r\n,\r\nplain,\r\n')
    assert read(path) == [Problem("row-1", "two\nlines, really", "1,000"), Problem("row-2", "plain", None)]


def test_a_csv_cell_may_be_larger_than_the_module_s_own_limit(tmp_path: Path) -> None:
    path = written(tmp_path / "set.csv", b"question,answer\n" + b"x" * 200_000 + b",1\n")
    assert len(read(path)[0].question) == 200_000


BAD_ROWS = {
    "not JSON": ("x.jsonl", JSON_LINES + b"{'id': 1}\n", 3, "not the JSON object"),
    "cut off": ("x.jsonl", JSON_LINES + b'{"question": "wh', 3, "truncated"),
    "blank lines count": ("x.jsonl", b"\n\n" + JSON_LINES + b"\n7\n", 6, "got `int`"),
    "an array": ("x.json", b'[{"question": "a"}]', 1, "one JSON object per line"),
    "an array over many lines": ("x.json", b'[\n{"question": "a"}\n]\n', 1, "one JSON object per line"),
    "too deep": ("x.jsonl", b'{"question": ' + b"[" * 9000, 1, "recursion"),
    "no question column": ("x.jsonl", b'{"text": "a", "note": 1}\n', 1, "(columns: text, note)"),
    "no column at all": ("x.jsonl", b"{}\n", 1, "(columns: none)"),
    "no question in this row": ("x.jsonl", JSON_LINES + b'{"prompt": "a"}\n', 3, "'question'"),
    "a question that is no text": ("x.jsonl", b'{"question": ["a"]}\n', 1, "not text"),
    "an empty question": ("x.jsonl", b'{"question": " \\n"}\n', 1, "empty"),
    "an answer that is a list": ("x.jsonl", b'{"question": "a", "gold": ["b"]}\n', 1, "not a list"),
    "an answer that is a truth value": ("x.jsonl", b'{"question": "a", "gold": true}\n', 1, "not a truth value"),
    "an id that is an object": ("x.jsonl", b'{"question": "a", "_id": {"$oid": "1"}}\n', 1, "not an object"),
    "a duplicate id": ("x.jsonl", JSON_LINES + b'\n{"question": "c", "id": "a"}\n', 4, "'a' is taken by line 1"),
    "not UTF-8 in JSON": ("x.jsonl", JSON_LINES + b'{"question": "\xe9"}\n', 3, "not UTF-8"),
    "not UTF-8 in CSV": ("x.csv", b"question\na\n\xe9\n", 3, "not UTF-8"),
    "UTF-16": ("x.csv", "question\na\n".encode("utf-16"), 1, "not UTF-8"),
    "too many values": ("x.csv", b'question,answer\n"a\nb",1\nc,2,3\n', 4, "3 values under 2 column names"),
    "an open quote": ("x.csv", b'question,answer\na,1\n"b,2\nc,3\n', 3, "unexpected end of data"),
    "a stray quote": ("x.csv", b'question,answer\n"b"c,2\n', 2, "not comma-separated values"),
    "a repeated column name": ("x.csv", b"question,answer, answer\na,1,2\n", 1, "occurs twice"),
    "a cut .gz": ("x.jsonl.gz", gzip.compress(JSON_LINES)[:40], 1, "damaged or cut short"),
    "a .gz without its end": ("x.jsonl.gz", gzip.compress(JSON_LINES)[:-1], 3, "damaged or cut short"),
    "a .gz with a wrong checksum": ("x.jsonl.gz", gzip.compress(JSON_LINES)[:-8] + bytes(8), 3, "CRC check failed"),
    "a .gz that is none": ("x.jsonl.gz", JSON_LINES, 1, "damaged or cut short"),
    "a cut .zst": ("x.jsonl.zst", compressed(JSON_LINES)[:-1], 1, "middle of a frame"),
    "a second frame cut": ("x.jsonl.zst", compressed(JSON_LINES) + compressed(b"{}")[:-1], 3, "middle of a frame"),
    "a .zst that is none": ("x.jsonl.zst", JSON_LINES, 1, "damaged or cut short"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_a_bad_row_is_told_with_its_place(case: str, tmp_path: Path) -> None:
    name, content, line, fault = BAD_ROWS[case]
    path = written(tmp_path / name, content)
    with pytest.raises(BadRow) as raised:
        read(path)
    message = str(raised.value)
    assert message.startswith(f"{path}, line {line}: ")
    assert fault in message
    assert "\n" not in message


def test_rows_before_the_bad_one_are_read(tmp_path: Path) -> None:
    problems = iter(problem_set(str(written(tmp_path / "x.jsonl", JSON_LINES + b"oops"))))
    assert [next(problems), next(problems)] == PROBLEMS
    with pytest.raises(BadRow):
        next(problems)


@pytest.mark.parametrize("name", ["x.jsonl", "x.csv", "x.jsonl.gz", "x.jsonl.zst"])
def test_an_empty_file_holds_no_problems(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no problems$"):
        read(written(tmp_path / name, b""))


def test_column_names_alone_are_no_problems(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no problems$"):
        read(written(tmp_path / "x.csv", b"question,answer\n"))


def test_no_such_file_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^no such file: .*gone\.jsonl"):
        problem_set(str(tmp_path / "gone.jsonl"))
    with pytest.raises(UsageError, match=r"^no such file"):
        problem_set(str(written(tmp_path / "file", b"") / "below.jsonl"))


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a directory"):
        problem_set(str(tmp_path))


def test_a_name_that_no_system_takes() -> None:
    with pytest.raises(UsageError, match="cannot read"):
        problem_set("a\0b.jsonl")
    with pytest.raises(UsageError, match="cannot read"):
        problem_set("x" * 5000 + ".jsonl")


def test_a_device_is_no_file() -> None:
    with pytest.raises(UsageError, match="not a regular file"):
        problem_set("/dev/null")


@pytest.mark.parametrize(("name", "told"), [("x.jsnl", r"'\.jsnl'; did you mean"), ("x", "'x'"), ("x.zst", r"'\.zst'")])
def test_an_unknown_ending(name: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match=f"^unknown file format {told}"):
        problem_set(str(written(tmp_path / name, JSON_LINES)))


def test_a_compressed_parquet_file_is_an_unknown_format(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match=r"'\.parquet\.gz'"):
        problem_set(str(written(tmp_path / "x.parquet.gz", b"")))


def test_a_parquet_file_that_is_none(tmp_path: Path) -> None:
    path = written(tmp_path / "x.parquet", JSON_LINES)
    with pytest.raises(UsageError, match=r"^cannot read .* as Parquet: .+$"):
        read(path)


def test_a_parquet_file_that_is_damaged_inside(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    write_parquet(path)
    content = bytearray(path.read_bytes())
    content[4:30] = b"\xff" * 26
    with pytest.raises(BadRow, match="line 1: not readable as Parquet"):
        read(written(path, bytes(content)))


def test_parquet_in_many_batches(tmp_path: Path) -> None:
    numbers = pa.table({"problem": [f"{n}?" for n in range(2500)], "answer": [float(n) for n in range(2500)]})
    pq.write_table(numbers, tmp_path / "many.parquet")
    problems = read(tmp_path / "many.parquet")
    assert len(problems) == 2500
    assert problems[2499] == Problem("row-2500", "2499?", "2499")


@pytest.mark.parametrize(
    ("name", "module", "extra"), [("x.jsonl.zst", "zstandard", "traces"), ("x.parquet", "pyarrow.parquet", "parquet")]
)
def test_a_missing_extra_is_named(
    name: str, module: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match=rf"{name[-4:]}.* needs an extra: .*\[{extra}\]"):
        read(written(tmp_path / name, b"content"))
