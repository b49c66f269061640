"""A budget against other ways to spend as much, on small recordings."""

from pathlib import Path

import msgspec
import pytest

from dynasor.bench.budget_study import BudgetPlan, BudgetRow, Spent, run_budget, under_budget
from dynasor.bench.budget_tables import write_budget
from dynasor.calibration.profile import profiled
from dynasor.programs.self_consistency import SelfConsistency
from support.profiles import path_of, setup_at, synthetic


def test_two_problems_by_hand() -> None:
    """An easy one and a hard one: what the first does not need goes to the second."""
    easy, hard = path_of("aaaaaaaa"), path_of("babababa")
    spent = under_budget([easy, hard], tokens=150)
    assert [each.right for each in spent] == [1.0, hard.right[hard.spent.index(spent[1].tokens)]]
    assert spent[0].tokens < 75 < spent[1].tokens
    assert 100 < sum(each.tokens for each in spent) <= 150 + 2 * 17
    assert under_budget([easy, hard], tokens=10_000)[1] == Spent(hard.right[-1], hard.spent[-1])


def test_more_programs_than_run_at_a_time_all_get_their_turn() -> None:
    profiles = profiled(synthetic(150, 6, seed=1), SelfConsistency, setup_at(6), orders=1)
    paths = [profile.paths[0] for profile in profiles]
    budget = sum(path.spent[3] for path in paths)
    spent = under_budget(paths, budget)
    total = sum(each.tokens for each in spent)
    assert 0.95 * budget < total <= budget + 64 * 16
    assert sum(each.tokens > 0 for each in spent) > 100
    assert under_budget(paths, budget) == spent


@pytest.mark.slow
def test_the_budget_spends_as_much_and_the_page_says_what_it_gains(tmp_path: Path) -> None:
    rows = []
    for recording in synthetic(80, 8, seed=4):
        samples = [{"answer": s.answer, "tokens": 10, "correct": s.answer == "a"} for s in recording.samples]
        rows.append({"id": recording.problem.id, "samples": samples})
    import zstandard

    text = b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
    (tmp_path / "small.jsonl.zst").write_bytes(zstandard.ZstdCompressor().compress(text))
    plan = BudgetPlan(tmp_path, 2, (("small", 8),))
    (found,) = run_budget(plan)
    assert [row.against for row in found[:2]] == ["even at 3", "even at 5"]
    assert len(found) == 5
    for row in found:
        assert row.budget_tokens <= row.tokens + 64 * 10 / 80
        assert row.gained.value == pytest.approx(row.budget_accuracy.value - row.accuracy.value)
    assert found[0].tokens == 30.0
    write_budget(found, {"made": "here"}, tmp_path / "out", tmp_path / "page" / "budget.md")
    assert "| small | 80 | 8 | even at 3 | 30.0 |" in (tmp_path / "page" / "budget.md").read_text()
    first, *lines = (tmp_path / "out" / "rows.jsonl").read_bytes().splitlines()
    assert msgspec.json.decode(first) == {"made": "here"}
    assert [msgspec.json.decode(line, type=BudgetRow) for line in lines] == found
