"""Rows out of JSON lines, CSV and Parquet. Knows the file formats; knows nothing of problems or of column names."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from dynasor.datasets.extras import optional
from dynasor.datasets.lines import numbered_lines
from dynasor.datasets.rows import Row
from dynasor.errors import BadRow, UsageError

_FIELD_BYTES = 1 << 28  # of one CSV cell; the csv module's own 128 KiB is less than some worked solutions
_PARQUET_ROWS = 1024  # held at a time
_Value = TypeVar("_Value")
_OBJECT = msgspec.json.Decoder(dict[str, Any])


def json_rows(path: Path) -> Iterator[Row]:
    """One JSON object per line; blank lines are skipped."""
    for line, values in json_objects(path, _OBJECT):
        yield Row(str(path), line, values)


def json_objects(path: Path, decoder: msgspec.json.Decoder[_Value]) -> Iterator[tuple[int, _Value]]:
    """Yield (line number, what the decoder made of the line); raises `BadRow` for a line that it refuses."""
    for number, line in numbered_lines(path):
        if line.isspace():
            continue
        try:
            value = decoder.decode(line)
        except UnicodeDecodeError as fault:
            raise BadRow(path, number, "not UTF-8 text; save the file as UTF-8") from fault
        except (msgspec.DecodeError, RecursionError) as fault:
            raise BadRow(path, number, _json_fault(line, fault)) from fault
        yield number, value


def _json_fault(line: bytes, fault: Exception) -> str:
    if line.lstrip().startswith(b"["):
        return "a JSON array; write one JSON object per line"
    return f"not the JSON object that is needed: {fault}"


def csv_rows(path: Path) -> Iterator[Row]:
    """Comma-separated values under a line of column names; rows without any value are skipped."""
    csv.field_size_limit(max(csv.field_size_limit(), _FIELD_BYTES))  # the module has one limit for all readers
    names: list[str] = []
    for line, cells in _csv_records(path):
        if names:
            yield Row(str(path), line, _csv_values(path, line, names, cells))
            continue
        names = [cell.strip() for cell in cells]
        if len(set(names)) < len(names):
            raise BadRow(path, line, f"a column name occurs twice in: {', '.join(names)}")


def _csv_records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield (the line on which it begins, cells) for each record with a value."""
    reader = csv.reader(_decoded(path), strict=True)
    begin = 1
    try:
        for cells in reader:
            if any(cell and not cell.isspace() for cell in cells):
                yield begin, cells
            begin = reader.line_num + 1
    except csv.Error as fault:
        raise BadRow(path, begin, f"not comma-separated values: {fault}") from fault


def _decoded(path: Path) -> Iterator[str]:
    for number, line in numbered_lines(path):
        try:
            text = line.decode()
        except UnicodeDecodeError as fault:
            raise BadRow(path, number, "not UTF-8 text; save the file as UTF-8") from fault
        yield text


def _csv_values(path: Path, line: int, names: list[str], cells: list[str]) -> Mapping[str, object]:
    if len(cells) != len(names):
        raise BadRow(path, line, f"{len(cells)} values under {len(names)} column names; quote values that hold commas")
    return dict(zip(names, cells, strict=True))


def parquet_rows(path: Path) -> Iterator[Row]:
    """The rows of a Parquet file, a batch at a time; `line` is the row's number."""
    number = 0
    try:
        batches = _parquet(path).iter_batches(batch_size=_PARQUET_ROWS)
        for number, values in enumerate((row for batch in batches for row in batch.to_pylist()), 1):
            yield Row(str(path), number, values)
    except (OSError, ValueError) as fault:
        raise BadRow(path, number + 1, f"not readable as Parquet from here on: {_first_line(fault)}") from fault


def _parquet(path: Path) -> Any:
    parquet = optional("pyarrow.parquet", "reading a .parquet file", "parquet")
    try:
        return parquet.ParquetFile(path)
    except (OSError, ValueError) as fault:  # pyarrow's own errors for bad files are kinds of ValueError
        raise UsageError(f"cannot read {path} as Parquet: {_first_line(fault)}") from fault


def _first_line(fault: Exception) -> str:
    return str(fault).partition("\n")[0]
