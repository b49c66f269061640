from pathlib import Path

import msgspec
import pytest

from dynasor.bench.code_groups import GroupRow
from dynasor.bench.probed_study import ProbedRow
from dynasor.bench.search_choices import ChoiceRow
from dynasor.bench.search_signals import SignalRow
from dynasor.bench.trace_study import TracePlan, TraceStudy, run_traces
from dynasor.bench.trace_tables import write_traces
from support.traces import BEAM, LOGGED, LOGIT, PROBED, STEPWISE, Row, write_trace

PLAIN: Row = {"id": "1", "gold": "1", "samples": [{"answer": "1", "tokens": 3, "correct": True}]}
SAMPLES = [{"answer": f"[{n % 3}]", "tokens": 5, "correct": n % 3 == 0} for n in range(6)]
CODE: Row = {"id": "sample_0", "gold": "[0]", "samples": SAMPLES}
CODE_SET: Row = {"id": "sample_0", "code": "def f(x):\n    return [x]", "input": "0", "output": "[0]"}


def study(tmp_path: Path, row: Row, name: str = "model__set", *, problems: Path | None = None) -> TraceStudy:
    trace = write_trace(tmp_path / f"{name}.jsonl", row, row | {"id": "another"})
    (found,) = run_traces(TracePlan((trace,), problems, orders=2))
    return found


@pytest.mark.parametrize(
    ("row", "kinds", "note"),
    [
        (PROBED, {ProbedRow}, "probed at shares"),
        (STEPWISE, {ProbedRow}, "forced re-thinking"),
        (BEAM, {ChoiceRow, SignalRow}, ""),
        (LOGIT, {ChoiceRow, SignalRow}, "logistic"),
        (LOGGED, {ChoiceRow, SignalRow}, ""),
        (PLAIN, set(), ""),
    ],
)
def test_a_trace_tells_what_it_is_for(row: Row, kinds: set[type], note: str, tmp_path: Path) -> None:
    found = study(tmp_path, row)
    assert {type(each) for each in found.rows} == kinds
    assert found.trace == "model__set"
    assert note in "".join(found.notes)


def test_code_is_left_out_where_its_problems_are_not_told(tmp_path: Path) -> None:
    assert study(tmp_path, CODE, "model__cruxeval_output").rows == ()


@pytest.mark.slow
def test_ways_to_group_code(tmp_path: Path) -> None:
    write_trace(tmp_path / "cruxeval.jsonl", CODE_SET, CODE_SET | {"id": "another"})
    rows = study(tmp_path, CODE, "model__cruxeval_output", problems=tmp_path).rows
    assert all(isinstance(row, GroupRow) for row in rows)
    assert [row.name for row in rows if isinstance(row, GroupRow)] == [
        "text", "normal form", "code", "value", "semantic",
    ]  # fmt: skip


@pytest.mark.slow
def test_the_page_and_the_lines(tmp_path: Path) -> None:
    group = GroupRow("text", 3, 2.0, 0.5, 0.6, 0.7, 0.3, 0.25)
    studies = [
        study(tmp_path, PROBED, "probed"),
        study(tmp_path, LOGIT, "logit"),
        study(tmp_path, PLAIN, "plain"),
        TraceStudy("code", (group,)),
    ]
    write_traces(studies, {"command": "dynasor"}, tmp_path)
    page = (tmp_path / "README.md").read_text()
    assert "- command: `dynasor`" in page
    assert "Without probes, rewards or code: plain." in page
    assert "| guided | 1 |  | all | 100.0 [100.0, 100.0] | 190 [190, 190] | 0.0 [0.0, 0.0] |" in page
    assert "| cut | 1 | 2 | sure |" in page
    assert "| 0 | 61 | guided |" in page
    assert "| samples | 3 | weighted | last |" in page
    assert "| samples | 3 | mean reward | 0.4 |" in page
    assert "| text | 2.0 | 50.0 | 0.60 | 70.0 | 30.0 | 25.0 | 25.00 |" in page
    origin, *lines = map(msgspec.json.decode, (tmp_path / "rows.jsonl").read_bytes().splitlines())
    assert origin == {"command": "dynasor"}
    assert {(line["trace"], line["table"]) for line in lines} == {
        ("probed", "probed"), ("logit", "choice"), ("logit", "signal"), ("code", "groups"),
    }  # fmt: skip


def test_a_page_without_rows_has_no_tables(tmp_path: Path) -> None:
    write_traces([TraceStudy("plain", ())], {}, tmp_path)
    assert "|" not in (tmp_path / "README.md").read_text()
