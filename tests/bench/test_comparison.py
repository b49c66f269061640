"""Runs side by side: what they share, and the figures themselves."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import isnan
from pathlib import Path
from random import Random
from statistics import fmean

import pytest

from dynasor.bench.comparison import Comparison, compare, tokens_to_accuracy
from dynasor.bench.resampling import DRAWS
from dynasor.bench.rows import Baseline, Row
from dynasor.bench.runs import Run
from dynasor.bench.summary import summary
from dynasor.errors import UsageError
from dynasor.metrics.intervals import Estimate, wilson
from support.journals import SyntheticRun, finished
from support.runs import STATIC, both_at, loaded, written


class TestSharedProblems:
    def test_only_what_every_run_has_finished_is_compared(self, tmp_path: Path) -> None:
        full = written(tmp_path / "a", [finished(p, tokens=100, correct=0.0) for p in "uvwx"])
        part = written(tmp_path / "b", [finished(p, tokens=40) for p in "wxyz"], policy=STATIC)
        comparison = compare([full, part])
        assert (comparison.problem_count, comparison.left_out_count) == (2, 4)
        assert [row.total_tokens for row in comparison.rows] == [200, 80]

    def test_runs_without_a_common_problem_are_refused_by_name(self, tmp_path: Path) -> None:
        runs = [written(tmp_path / name, [finished(name)]) for name in "abcdefgh"]
        with pytest.raises(UsageError, match=r"no problem is finished in all of .*/a, .*/f and 2 more; compare"):
            compare(runs)

    def test_one_id_for_two_questions_is_refused(self, tmp_path: Path) -> None:
        first = written(tmp_path / "a", [finished("0")])
        other = written(tmp_path / "b", [finished("0", question="Something else?")])
        with pytest.raises(UsageError, match=r"problem '0' is one question in .*/a and another in .*/b"):
            compare([first, other])

    def test_layout_is_no_difference_between_questions_nor_is_their_absence(self, tmp_path: Path) -> None:
        texts = {"a": "What is 0?", "b": " What  is\n0? ", "c": ""}
        runs = [written(tmp_path / name, [finished("0", question=text)], seed=name) for name, text in texts.items()]
        assert compare(runs).problem_count == 1

    def test_nothing_is_not_compared(self) -> None:
        with pytest.raises(UsageError, match="nothing to compare"):
            compare([])


class TestFigures:
    def test_a_small_comparison_by_hand(self, tmp_path: Path) -> None:
        even = [
            finished("p", answer="1", correct=1.0, tokens=100, knob=10),
            finished("q", answer="2", correct=0.0, tokens=300, knob=10),
            finished("r", answer="3", correct=1.0, tokens=200, knob=10),
            finished("s", answer=None, correct=0.0, tokens=400, knob=10),
        ]
        static = [
            finished("p", answer="1.0", correct=1.0, tokens=50, knob=5, stopped_by="certain", certaindex=1.0),
            finished("q", answer="7", correct=1.0, tokens=100, knob=4, stopped_by="certain"),
            finished("r", answer="4", correct=0.0, tokens=100, knob=5, stopped_by="certain"),
            finished("s", answer=None, correct=0.0, tokens=400, knob=10, latency_s=2.0),
        ]
        runs = [written(tmp_path / "a", even), written(tmp_path / "b", static, policy=STATIC)]
        row = compare(runs).rows[1]
        assert row.accuracy == wilson(2, 4)
        assert row.total_tokens == 650
        assert row.tokens.value == pytest.approx(162.5)
        assert figure(row.saved) == pytest.approx(0.35)
        assert figure(row.gained) == 0.0
        assert row.changed == wilson(2, 4)  # q and r; 1.0 is 1, and no answer is no answer
        assert row.branches == 6.0
        assert row.certaindex == pytest.approx(0.625)
        assert row.latency_s == 0.5
        assert dict(row.stops) == {"certain": 0.75, "cap": 0.25}
        assert list(row.stops) == ["certain", "cap"]

    def test_the_intervals_are_those_of_the_paired_bootstrap(self, tmp_path: Path) -> None:
        even, static = loaded(tmp_path, [SyntheticRun("even", count=60), SyntheticRun(STATIC, effort=0.5, count=60)])
        row = compare([even, static]).rows[1]
        a = [static.results[problem] for problem in sorted(static.results)]
        b = [even.results[problem] for problem in sorted(even.results)]

        def saved(chosen: Sequence[int]) -> float:
            return 1 - sum(a[i].tokens for i in chosen) / sum(b[i].tokens for i in chosen)

        def gained(chosen: Sequence[int]) -> float:
            return fmean((a[i].correct or 0) - (b[i].correct or 0) for i in chosen)

        assert_bounds(row.saved, 60, saved)
        assert_bounds(row.gained, 60, gained)
        assert_bounds(row.tokens, 60, lambda chosen: fmean(a[i].tokens for i in chosen))

    def test_pairing_makes_the_interval_of_the_difference_narrow(self, tmp_path: Path) -> None:
        even, static = loaded(tmp_path, [SyntheticRun("even"), SyntheticRun(STATIC, effort=0.5)])
        row = compare([even, static]).rows[1]
        assert row.accuracy is not None
        assert row.gained is not None
        assert row.gained.high - row.gained.low < 0.8 * (row.accuracy.high - row.accuracy.low)

    def test_the_order_of_the_runs_changes_no_figure(self, tmp_path: Path) -> None:
        runs = loaded(tmp_path, both_at(10, 40))
        there, back = compare(runs), compare(runs[::-1])
        figures = {row.label: (row.accuracy, row.tokens, row.saved, row.gained, row.changed) for row in there.rows}
        assert figures == {
            row.label: (row.accuracy, row.tokens, row.saved, row.gained, row.changed) for row in back.rows
        }

    def test_without_right_answers_there_is_no_accuracy(self, tmp_path: Path) -> None:
        records = [finished(p, correct=None) for p in "pqr"]
        runs = [written(tmp_path / "a", records), written(tmp_path / "b", records, policy=STATIC)]
        comparison = compare(runs)
        row = comparison.rows[1]
        assert comparison.judged_count == 0
        assert (row.accuracy, row.gained) == (None, None)
        assert figure(row.saved) == 0.0
        assert tokens_to_accuracy(comparison) == ()

    def test_accuracy_is_over_the_problems_that_are_judged_in_every_run(self, tmp_path: Path) -> None:
        some = [finished("p", correct=1.0), finished("q", correct=None), finished("r", correct=0.0)]
        every = [finished("p", correct=0.0), finished("q", correct=1.0), finished("r", correct=0.0)]
        comparison = compare([written(tmp_path / "a", some), written(tmp_path / "b", every, policy=STATIC)])
        assert comparison.judged_count == 2
        assert [row.accuracy for row in comparison.rows] == [wilson(1, 2), wilson(0, 2)]
        assert figure(comparison.rows[1].gained) == -0.5

    def test_one_problem_has_no_bootstrap_interval(self, tmp_path: Path) -> None:
        row = only_row(compare([written(tmp_path / "a", [finished("p", tokens=250)], policy=STATIC)]))
        assert figure(row.saved) == 0.75
        assert row.saved is not None
        assert isnan(row.saved.low)
        assert isnan(row.saved.high)

    def test_no_reference_is_no_saving(self, tmp_path: Path) -> None:
        records = [finished(p, even_tokens=0.0) for p in "pq"]
        assert isnan(figure(only_row(compare([written(tmp_path / "a", records, policy=STATIC)])).saved))

    @pytest.mark.slow
    def test_eight_runs_over_two_thousand_problems_make_eight_rows(self, tmp_path: Path) -> None:
        comparison = compare(loaded(tmp_path, [replace(run, count=2000) for run in both_at(5, 10, 20, 40)]))
        assert len(comparison.rows) == 8
        assert comparison.problem_count == 2000


class TestSeeds:
    def test_runs_that_differ_in_their_seed_are_averaged_for_each_problem(self, tmp_path: Path) -> None:
        def run(seed: int, tokens: Sequence[int], correct: Sequence[float]) -> Run:
            records = [
                finished(p, tokens=t, correct=c, knob=t // 10) for p, t, c in zip("pq", tokens, correct, strict=True)
            ]
            return written(tmp_path / str(seed), records, policy=STATIC, seed=seed)

        row = only_row(compare([run(0, (100, 200), (1.0, 0.0)), run(1, (300, 400), (1.0, 1.0))]))
        assert row.label == f"{STATIC} × 2 seeds"
        assert row.group.seeds == [0, 1]
        assert row.total_tokens == 500  # of one run: (100 + 300) / 2 + (200 + 400) / 2
        assert row.accuracy == wilson(1.5, 2)
        assert row.branches == 25

    def test_each_seed_is_paired_with_its_own_even_run(self, tmp_path: Path) -> None:
        def run(policy: str, seed: int) -> Run:
            return written(tmp_path / f"{policy}{seed}", [finished("p", answer=str(seed))], policy=policy, seed=seed)

        runs = [run("even", 2), run("even", 0), run("even", 1), run("beta", 0), run("beta", 1)]
        row = compare(runs).rows[1]
        assert row.against == "even × 3 seeds"
        assert figure(row.changed) == 0.0

    def test_an_even_run_of_another_seed_is_no_baseline(self, tmp_path: Path) -> None:
        runs = loaded(tmp_path, [SyntheticRun("even"), SyntheticRun("beta", effort=0.5, seed=0)])
        more = loaded(tmp_path / "more", [SyntheticRun("beta", effort=0.5, seed=1)])
        assert compare(runs + more).rows[1].baseline is Baseline.ESTIMATED

    def test_a_named_baseline_of_other_seeds_is_paired_all_the_same(self, tmp_path: Path) -> None:
        even = [written(tmp_path / f"e{seed}", [finished("p", tokens=100)], seed=seed) for seed in (1, 2)]
        beta = [written(tmp_path / f"b{s}", [finished("p", tokens=50)], policy="beta", seed=s) for s in (3, 4, 5)]
        row = compare(even + beta, "even").rows[1]
        assert row.against == "even × 2 seeds"
        assert figure(row.saved) == 0.5


class TestTokensToAccuracy:
    def test_a_series_for_each_policy_with_its_caps_from_few_tokens_to_many(self, tmp_path: Path) -> None:
        series = tokens_to_accuracy(compare(loaded(tmp_path, both_at(40, 5, 20))))
        assert [one.label for one in series] == ["even", STATIC]
        for one in series:
            assert [point.cap for point in one.points] == [5, 20, 40]
            tokens = [point.tokens.value for point in one.points]
            assert tokens == sorted(tokens)

    def test_in_flight_is_a_policy_of_its_own(self, tmp_path: Path) -> None:
        runs = [SyntheticRun(STATIC, settings={"in_flight": flight}) for flight in (False, True)]
        series = tokens_to_accuracy(compare(loaded(tmp_path, runs)))
        assert [one.label for one in series] == [STATIC, f"{STATIC} in flight"]


class TestSummary:
    def test_it_is_json_and_says_what_the_rows_say(self, tmp_path: Path) -> None:
        comparison = compare(loaded(tmp_path, both_at(10)))
        read = json.loads(json.dumps(summary(comparison), allow_nan=False))
        even, static = read["rows"]
        assert (read["problems"], read["problems_left_out"], read["baseline"]) == (200, 0, "even")
        assert even["compared_with"] == "itself"
        assert even["tokens_saved"] is None
        assert static["compared_with"] == "even"
        assert static["label"] == STATIC
        assert static["seeds"] == [0]
        assert static["settings"]["cap"] == 10
        assert static["tokens_saved"]["low"] < static["tokens_saved"]["value"] < static["tokens_saved"]["high"]
        assert sum(static["stopped_by"].values()) == pytest.approx(1, abs=1e-5)
        assert [len(series["points"]) for series in read["tokens_to_accuracy"]] == [1, 1]

    def test_a_replay_has_no_latency(self, tmp_path: Path) -> None:
        records = [finished("p", latency_s=2.0)]
        live = written(tmp_path / "a", records)
        replay = written(tmp_path / "b", records, policy=STATIC, trace="svamp")
        comparison = compare([live, replay])
        assert [row.latency_s for row in comparison.rows] == [2.0, None]
        read = json.loads(json.dumps(summary(comparison), allow_nan=False))
        assert [row["latency_s"] for row in read["rows"]] == [2.0, None]

    def test_what_is_no_number_is_null(self, tmp_path: Path) -> None:
        comparison = compare([written(tmp_path / "a", [finished("p", tokens=250)], policy=STATIC)])
        read = json.loads(json.dumps(summary(comparison), allow_nan=False))
        assert read["rows"][0]["tokens_saved"] == {"value": 0.75, "low": None, "high": None}


def only_row(comparison: Comparison) -> Row:
    assert len(comparison.rows) == 1
    return comparison.rows[0]


def figure(estimate: Estimate | None) -> float:
    assert estimate is not None
    return estimate.value


def assert_bounds(estimate: Estimate | None, count: int, statistic: Callable[[Sequence[int]], float]) -> None:
    """The plain percentile bootstrap: the statistic anew for every draw of problems."""
    random = Random(0)
    drawn = sorted(statistic(random.choices(range(count), k=count)) for _ in range(DRAWS))
    expected = (statistic(range(count)), drawn[int(0.025 * DRAWS)], drawn[int(0.975 * DRAWS) - 1])
    assert estimate is not None
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx(expected)
