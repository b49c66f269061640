"""What is still to be run, what is kept, and what is drawn of it, on journals that were made up."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from dynasor.bench.algorithm_arms import Arm, plain, probed
from dynasor.bench.algorithm_journals import Journals
from dynasor.bench.algorithm_plots import draw_algorithms, write_figure
from dynasor.bench.algorithm_study import AlgorithmPlan, expected_s, pending, summed_up
from dynasor.bench.algorithm_tables import write_algorithms
from dynasor.errors import UnknownName, UsageError
from support.journals import finished, write_run

ARMS = [plain(), *probed((16,))]


@pytest.fixture
def plan(tmp_path: Path) -> AlgorithmPlan:
    return AlgorithmPlan({"one": ARMS, "two": ARMS[:1]}, 3, 0, Journals(tmp_path))


def make(plan: AlgorithmPlan, engine: str, arm: Arm, count: int = 3) -> Path:
    run = plan.journals.run(engine, arm.name)
    records = [finished(id, tokens=100, correct=float(place % 2)) for place, id in enumerate(plan.ids[:count])]
    return write_run(run, records, {"seed": 0})


def names(plan: AlgorithmPlan, engine: str) -> list[str]:
    return [arm.name for arm in pending(plan, engine)]


def test_an_arm_is_pending_until_all_of_its_problems_have_answered(plan: AlgorithmPlan) -> None:
    make(plan, "one", ARMS[0])
    make(plan, "one", ARMS[1], count=2)
    assert names(plan, "one") == ["probed-16"]
    assert names(plan, "two") == ["plain"]


def test_a_run_of_another_seed(plan: AlgorithmPlan) -> None:
    write_run(plan.journals.run("one", "plain"), [finished("p")], {"seed": 1})
    with pytest.raises(UsageError, match=r"was made with seed 1, not 0; give that seed, or another --out$"):
        pending(plan, "one")


def test_the_packed_journals_stand_for_their_runs(plan: AlgorithmPlan, tmp_path: Path) -> None:
    run = make(plan, "one", ARMS[0])
    content = (run / "journal.jsonl").read_bytes()
    rows = summed_up(plan)
    (run / "journal.jsonl").unlink()
    run.rmdir()
    assert summed_up(plan) == rows
    assert (run / "journal.jsonl").read_bytes() == content
    packed = tmp_path / "journals" / "one" / "plain.jsonl.xz"
    before = packed.stat().st_mtime_ns
    plan.journals.pack("one", "plain")
    assert packed.stat().st_mtime_ns == before


def test_a_run_that_has_grown_is_packed_anew(plan: AlgorithmPlan, tmp_path: Path) -> None:
    journal = make(plan, "one", ARMS[0]) / "journal.jsonl"
    plan.journals.pack("one", "plain")
    journal.write_bytes(journal.read_bytes() * 2)
    plan.journals.pack("one", "plain")
    (tmp_path / "runs" / "one" / "plain" / "journal.jsonl").rename(tmp_path / "moved")
    assert plan.journals.journal("one", "plain").read_bytes() == (tmp_path / "moved").read_bytes()


def test_rows_are_those_of_what_is_done(plan: AlgorithmPlan) -> None:
    with pytest.raises(UsageError, match=r"has answered all problems yet; run them first$"):
        summed_up(plan)
    make(plan, "one", ARMS[1])
    make(plan, "two", ARMS[0])
    rows = summed_up(plan)
    assert [(row.engine, row.curve, row.problems) for row in rows] == [("one", "probed-cot", 3), ("two", "thinking", 3)]


def test_only_some_arms(plan: AlgorithmPlan) -> None:
    assert plan.only(["plain"]).arms == {"one": ARMS[:1], "two": ARMS[:1]}
    with pytest.raises(UnknownName, match="probed-17"):
        plan.only(["probed-17"])


def test_the_expected_time_is_that_of_the_tokens() -> None:
    assert expected_s([plain()], 10, 100.0) == pytest.approx(10 * plain().tokens / 100)
    assert expected_s(probed((8,)), 10, 100.0) > expected_s([plain()], 10, 100.0)
    assert expected_s([plain()], 10, 0.0) == float("inf")


def test_tables(plan: AlgorithmPlan, tmp_path: Path) -> None:
    make(plan, "two", ARMS[0])
    write_algorithms(summed_up(plan), {"seed": 0}, tmp_path / "out")
    page = (tmp_path / "out" / "README.md").read_text()
    assert "| thinking | 1 | 33.3 % [6.1, 79.2] | 100 [100 to 100] | – |" in page
    origin, row = (tmp_path / "out" / "rows.jsonl").read_text().splitlines()
    assert origin == '{"seed":0}'
    assert '"curve":"thinking"' in row


@pytest.mark.slow
def test_a_panel_for_each_engine_and_one_legend(plan: AlgorithmPlan, tmp_path: Path) -> None:
    for engine, arms in plan.arms.items():
        for arm in arms:
            make(plan, engine, arm)
    rows = summed_up(plan)
    figure = Figure()
    draw_algorithms(figure, rows)
    assert [axes.get_title(loc="left").partition(":")[0] for axes in figure.axes] == ["one", "two"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["thinking", "probed-cot"]
    assert [len(axes.containers) for axes in figure.axes] == [2, 1]
    write_figure(rows, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
