"""The benches of orderings, on little."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from dynasor.bench.queue_speed import measure_queue
from dynasor.cli import main

pytestmark = pytest.mark.slow


def rows_of(out: Path, *arguments: str) -> list[dict[str, object]]:
    asked = ["bench", "orderings", "svamp", "--programs", "40", "--slots", "4", "--cap", "10", "--loads", "1.2"]
    result = CliRunner().invoke(main, [*asked, "--orders", "1", "--out", str(out), *arguments])
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in out.read_bytes().splitlines()][1:]


def test_every_ordering_answers_all_programs_on_the_same_arrivals(tmp_path: Path) -> None:
    rows = rows_of(tmp_path / "a.jsonl", "--orderings", "fcfs,gang+sjf,fcfs")
    assert [row["ordering"] for row in rows] == ["fcfs", "gang+sjf", "fcfs"]
    assert {row["programs"] for row in rows} == {40}
    assert rows[0] == rows[2], "the same seed gives the same latencies"
    assert rows[0] != rows[1]
    for row in rows:
        p50, p90, p99, longest = (float(str(row[name])) for name in ("p50_s", "p90_s", "p99_s", "longest_s"))
        assert 0 < p50 <= p90 <= p99 <= longest


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--orderings", "fcfs,sfj"), "unknown ordering 'sfj'"),
        (("--loads", "much"), "--loads is 'much'; write numbers"),
        (("--loads", "0"), "--loads is '0'; each must be above 0"),
        (("--cap", "31"), "the cap is 31, and svamp has fewer samples"),
    ],
)
def test_what_cannot_be_measured_is_refused(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    result = CliRunner().invoke(main, ["bench", "orderings", "--out", str(tmp_path / "o.jsonl"), *arguments])
    assert result.exit_code == 2
    assert told in result.output + str(result.exception)


def test_the_queue_is_measured_against_first_come_first_served() -> None:
    rows = measure_queue(10, repeats=1)
    assert [row.ordering for row in rows] == ["fcfs", "gang+sjf", "dynasor"]
    assert rows[0].ratio == 1.0
    assert all(row.us_per_event > 0 for row in rows)
