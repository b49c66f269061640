"""Live policies side by side: the same problems under each, and what they take against even allocation."""

from pathlib import Path

import pytest

from dynasor.bench.latency_study import Answered, answered, latency_arms
from dynasor.bench.latency_tables import latency_rows, write_latency
from dynasor.calibration.profile import profiled
from dynasor.clock import WallClock
from dynasor.datasets.problem import Problem, Recording
from dynasor.engines.recorded import RecordedEngine
from dynasor.programs.program import Setup
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.request import Sample
from support.commands import finish, start

SETUP = Setup(cap=8)
EASY = tuple(Sample("1", tokens=10) for _ in range(8))
HARD = tuple(Sample(str(index % 3), tokens=10) for index in range(8))
SAMPLES = {f"p{index}": EASY if index % 2 else HARD for index in range(60)}
PROBLEMS = [Problem(id, "?", gold="1") for id in SAMPLES]


async def test_every_policy_answers_every_problem() -> None:
    profiles = profiled(
        [Recording(problem, SAMPLES[problem.id]) for problem in PROBLEMS], SelfConsistency, SETUP, orders=1
    )
    arms = latency_arms(profiles)
    found = [
        each async for each in answered(RecordedEngine(SAMPLES), WallClock(), SETUP, arms, PROBLEMS[:10], at_once=3)
    ]
    assert len(found) == len({(each.arm, each.problem) for each in found}) == 10 * len(arms)
    rows = {row.policy: row for row in latency_rows(found, 3)}
    assert rows["even"].tokens.value == rows["even"].latency.value == 1.0
    assert rows["even"].tokens_a_problem == 80
    assert rows["static 0.7 at 5"].tokens.value == (50 + 80) / 160, "the easy ones stop at five branches"
    assert rows["decided, in flight"].accuracy == rows["even"].accuracy


def test_shares_are_of_even_allocation_on_the_same_problems(tmp_path: Path) -> None:
    times = {"even": (2.0, 4.0), "other": (1.0, 5.0)}
    found = [
        Answered(arm, f"p{place}", latency_s, 100, 1.0)
        for arm, both in times.items()
        for place, latency_s in enumerate(both)
    ]
    rows = latency_rows(found, 1)
    assert [(row.policy, row.latency.value, row.mean_s) for row in rows] == [("even", 1.0, 3.0), ("other", 1.0, 3.0)]
    assert rows[1].latency.low == 0.5
    assert rows[1].latency.high == 1.25
    write_latency(rows, {"seed": 0}, tmp_path / "out", tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    assert "## 1 program at a time" in page
    assert "| other | 3.00 | 1.00 | 1.00 [0.50, 1.25] | 100 | 1.00 [1.00, 1.00] | 100.0 |" in page
    assert len((tmp_path / "out" / "rows.jsonl").read_text().splitlines()) == 3


@pytest.mark.slow
def test_the_command_on_the_built_in_model(tmp_path: Path) -> None:
    samples = Path(__file__).parents[2] / "results" / "built-in-model" / "samples.jsonl.gz"
    given = ("--problems", 2, "--cap", 6, "--at-once", 2, "--samples", samples, "--out", "rows", "--page", "page.md")
    status, _, told = finish(start("bench", "latency", *given, cwd=tmp_path), timeout_s=300)
    assert status == 0, told
    assert "## 2 programs at a time" in (tmp_path / "page.md").read_text()


@pytest.mark.slow
def test_nonsense_is_refused(tmp_path: Path) -> None:
    status, out, told = finish(start("bench", "latency", "--at-once", "1,x", cwd=tmp_path), timeout_s=300)
    assert (status, out) == (2, "")
    assert told == "dynasor: --at-once is '1,x'; write whole numbers with commas between them, such as 1,8\n"
