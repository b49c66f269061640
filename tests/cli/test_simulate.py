"""`dynasor simulate`: arms side by side, machine-readable figures, rows, and what is refused."""

import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from dynasor.cli import main

pytestmark = pytest.mark.slow


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Twelve problems of ten samples; every third is uncertain."""
    rows = [
        {
            "id": f"q{n}",
            "question": "What is it?",
            "gold": "1",
            "samples": [
                {"answer": str(i % 2 + 1 if n % 3 == 0 else 1), "tokens": 5 + i, "correct": n % 3 != 0 or i % 2 == 0}
                for i in range(10)
            ],
        }
        for n in range(12)
    ]
    path = tmp_path / "tiny.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def invoke(*arguments: object) -> Result:
    return CliRunner(env={"COLUMNS": "120"}).invoke(main, ["simulate", *map(str, arguments)])


def figures(*arguments: object) -> dict[str, dict[str, float]]:
    result = invoke(*arguments, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, dict[str, float]] = json.loads(result.stdout)
    return found


def test_arms_stand_side_by_side(trace: Path) -> None:
    result = invoke("--trace", trace, "--cap", 10, "--programs", 30, "--ordering", "fcfs", "--ordering", "oracle")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["30", "programs", "fcfs", "oracle"]
    assert any(line.startswith("P99") and line.count(" s") == 2 for line in lines)
    assert not any(line.startswith("done in time") for line in lines), "no deadlines, no row"


def test_policies_and_orderings_are_crossed_on_the_same_arrivals(trace: Path) -> None:
    policies = ("even", "static:threshold=0.7,detect_at=5")
    found = figures(
        *("--trace", trace, "--cap", 10, "--programs", 24, "--slo", 5),
        *(word for policy in policies for word in ("--policy", policy)),
        *("--ordering", "fcfs", "--ordering", "dynasor"),
    )
    assert list(found) == [f"{ordering}, {policy}" for policy in policies for ordering in ("fcfs", "dynasor")]
    even, static = found["fcfs, even"], found["fcfs, static:threshold=0.7,detect_at=5"]
    assert even["tokens_per_program"] == pytest.approx(sum(range(5, 15)))
    assert static["tokens_per_program"] < even["tokens_per_program"]
    assert {arm["programs"] for arm in found.values()} == {24}
    assert {arm["slo_attainment"] for arm in found.values()} == {1.0}


def test_the_same_call_gives_the_same_bytes_and_another_seed_others(trace: Path) -> None:
    asked = ("--trace", trace, "--cap", 5, "--programs", 20)
    assert figures(*asked) == figures(*asked)
    assert figures(*asked) != figures(*asked, "--seed", 1)


def test_rows_with_their_origin(trace: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs" / "simulated"
    result = invoke(
        "--trace", trace, "--cap", 5, "--programs", 6, "--out", out, "--fault", "0:0.1:0.2", "--memory", 0.5
    )
    assert result.exit_code == 0, result.output
    origin, summary, *rows = map(msgspec.json.decode, (out / "rows.jsonl").read_bytes().splitlines())
    assert {"command", "commit", "date", "options"} <= origin.keys()
    assert origin["options"]["memory"] == 0.5
    assert summary["summary"]["programs"] == len(rows) == 6
    assert {row["run"] for row in rows} == {"dynasor"}
    assert all(row["arrived_at"] <= row["started_at"] <= row["ended_at"] for row in rows)
    assert [row["correct"] for row in rows].count(1.0) >= 3


def test_replayed_arrivals_and_replicas(trace: Path, tmp_path: Path) -> None:
    arrivals = tmp_path / "arrivals.txt"
    arrivals.write_text("100\n101\n105\n")
    found = figures("--trace", trace, "--cap", 5, "--arrivals", arrivals, "--replicas", 2, "--front", 4)["dynasor"]
    assert found["programs"] == 3
    assert 5.0 < found["duration_s"] < 6.0


def test_in_front_and_inside_serve_the_same_programs(trace: Path) -> None:
    asked = ("--trace", trace, "--cap", 5, "--programs", 20, "--rate", 100, "--sequences", 8)
    inside, front = figures(*asked)["dynasor"], figures(*asked, "--front", 8)["dynasor"]
    assert inside["tokens_per_program"] == front["tokens_per_program"]
    assert front["mean_s"] == pytest.approx(inside["mean_s"], rel=0.1)


def test_chains_are_probed_and_cut(tmp_path: Path) -> None:
    probes = [{"f": place / 10, "tok": 20 * place, "a": "A", "m": 1.0} for place in range(1, 10)]
    rows = [
        {"id": f"q{n}", "gold": "A", "samples": [{"answer": "A", "tokens": 200, "probes": probes}]} for n in range(6)
    ]
    trace = tmp_path / "probed.jsonl"
    trace.write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = ("--trace", trace, "--algorithm", "probed-cot", "--cap", 10, "--programs", 8)
    cut, whole = figures(*asked)["dynasor"], figures(*asked, "--policy", "even")["dynasor"]
    assert cut["accuracy"] == whole["accuracy"] == 1.0
    assert whole["tokens_per_program"] == 200 + 9 * 8
    assert 40 + 2 * 8 <= cut["tokens_per_program"] < 80
    assert "an oracle would have to know" in invoke(*asked, "--ordering", "oracle").stderr
    assert "leave out --in-flight" in invoke(*asked, "--in-flight").stderr
    several = invoke(*asked[:2], "--algorithm", "probed-sc", "--cap", 10)
    assert several.exit_code == 2


def test_what_would_be_late_is_given_less(trace: Path, tmp_path: Path) -> None:
    load = ("--programs", 60, "--rate", 20, "--sequences", 8)
    asked = ("--trace", trace, "--cap", 10, "--policy", "even", *load, "--slo", 1)
    plain, due = figures(*asked)["dynasor"], figures(*asked, "--due")["dynasor"]
    assert due["tokens_per_program"] < plain["tokens_per_program"]
    assert due["slo_attainment"] >= plain["slo_attainment"]
    assert figures(*asked[:-1], 1000, "--due")["dynasor"] == figures(*asked[:-1], 1000)["dynasor"], "nothing is late"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "nothing to simulate: give a recording by --trace"),
        (("--trace", "TRACE", "--cap", 30), "no problem of"),
        (("--trace", "TRACE", "--cap", 10, "--ordering", "bogus"), "unknown ordering 'bogus'"),
        (("--trace", "TRACE", "--cap", 10, "--policy", "bogus"), "unknown policy 'bogus'"),
        (("--trace", "TRACE", "--cap", 10, "--accelerator", "tpu"), "unknown accelerator 'tpu'"),
        (("--trace", "TRACE", "--cap", 10, "--rate", 0), "rate is 0.0; it must be above 0"),
        (("--trace", "TRACE", "--cap", 10, "--slo", -1), "the SLO is -1.0 s"),
        (("--trace", "TRACE", "--cap", 10, "--due"), "nothing is due"),
        (("--trace", "TRACE", "--cap", 10, "--memory", 0), "the memory is 0.0"),
        (("--trace", "TRACE", "--cap", 10, "--fault", "1:2"), "--fault is '1:2'"),
        (("--trace", "TRACE", "--cap", 10, "--arrivals", "gone.txt"), "cannot read gone.txt"),
        (("--trace", "TRACE", "--cap", 10, "--algorithm", "rebase"), "asks more than one question"),
        (("--trace", "TRACE", "--cap", 10, "--memory", 0.000001, "--prompt-tokens", 50), "enlarge it"),
    ],
)
def test_what_is_refused(arguments: tuple[object, ...], message: str, trace: Path) -> None:
    result = invoke(*(trace if word == "TRACE" else word for word in arguments))
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
