"""What each run is compared with."""

from hashlib import sha256
from pathlib import Path

import pytest

from dynasor.bench.comparison import compare
from dynasor.bench.groups import even_counterpart, grouped
from dynasor.bench.rows import Baseline
from dynasor.bench.runs import Run
from dynasor.errors import UsageError
from dynasor.journal.records import Setting
from support.journals import SyntheticRun, finished
from support.runs import STATIC, bare, both_at, loaded, written


class TestBaselines:
    def test_the_even_run_of_the_same_cap_is_the_baseline(self, tmp_path: Path) -> None:
        comparison = compare(loaded(tmp_path, both_at(10, 40)))
        assert {row.label: (row.baseline, row.against) for row in comparison.rows} == {
            "even, cap 10": (Baseline.ITSELF, None),
            "even, cap 40": (Baseline.ITSELF, None),
            f"{STATIC}, cap 10": (Baseline.RUN, "even, cap 10"),
            f"{STATIC}, cap 40": (Baseline.RUN, "even, cap 40"),
        }

    @pytest.mark.parametrize(
        "different", [{"cap": 20}, {"seed": 1}, {"algorithm": "best-of-n"}, {"model": "m"}, {"temperature": 1.0}]
    )
    def test_an_even_run_under_other_settings_is_none(self, tmp_path: Path, different: dict[str, Setting]) -> None:
        synthetic = [SyntheticRun("even", settings=different), SyntheticRun(STATIC, effort=0.5)]
        row = compare(loaded(tmp_path, synthetic)).rows[1]
        assert row.baseline is Baseline.ESTIMATED
        assert row.against is None

    @pytest.mark.parametrize("different", [{"in_flight": True}, {"signal": "length"}])
    def test_what_even_allocation_never_reads_keeps_no_run_from_it(
        self, tmp_path: Path, different: dict[str, Setting]
    ) -> None:
        synthetic = [SyntheticRun("even"), SyntheticRun(STATIC, effort=0.5, settings=different)]
        assert compare(loaded(tmp_path, synthetic)).rows[1].against == "even"

    @pytest.mark.parametrize(("recorded", "kind"), [(True, Baseline.RECORDED), (False, Baseline.ESTIMATED)])
    def test_without_one_the_run_tells_what_even_allocation_takes(
        self, tmp_path: Path, recorded: bool, kind: Baseline
    ) -> None:
        records = [finished(p, tokens=30, even_tokens=100.0, even_recorded=recorded) for p in "pq"]
        (row,) = compare([written(tmp_path / "a", records, policy=STATIC)]).rows
        assert row.baseline is kind
        assert row.saved is not None
        assert row.saved.value == pytest.approx(0.7)
        assert (row.gained, row.changed) == (None, None)

    def test_one_estimated_problem_makes_the_reference_estimated(self, tmp_path: Path) -> None:
        records = [finished("p", even_recorded=True), finished("q", even_recorded=False)]
        (row,) = compare([written(tmp_path / "a", records, policy=STATIC)]).rows
        assert row.baseline is Baseline.ESTIMATED

    @pytest.mark.parametrize("name", [STATIC, "run1", "{root}/run1"])
    def test_a_baseline_can_be_named_by_label_and_by_directory(self, tmp_path: Path, name: str) -> None:
        runs = loaded(tmp_path, [SyntheticRun("even"), SyntheticRun(STATIC, effort=0.5)])
        comparison = compare(runs, name.replace("{root}", str(tmp_path)))
        even, static = comparison.rows
        assert comparison.named_baseline == STATIC
        assert static.baseline is Baseline.ITSELF
        assert static.saved is None
        assert even.against == STATIC
        assert even.saved is not None
        assert even.saved.value == pytest.approx(1 - even.total_tokens / static.total_tokens)
        assert even.saved.value < -0.5

    def test_a_label_needs_no_number_of_seeds(self, tmp_path: Path) -> None:
        runs = loaded(tmp_path, [SyntheticRun("even", seed=seed) for seed in range(3)])
        assert compare(runs, "even").named_baseline == "even × 3 seeds"

    def test_an_unknown_baseline_tells_the_known_ones(self, tmp_path: Path) -> None:
        runs = loaded(tmp_path, both_at(10, 40))
        with pytest.raises(UsageError, match=r"no run here is called 'evne'; .* by its label: 'even, cap 10', 'even, "):
            compare(runs, "evne")

    def test_a_name_of_several_runs_is_refused(self) -> None:
        runs = [bare("x/run", {}), bare("y/run", {"policy": STATIC})]
        with pytest.raises(UsageError, match="'run' is the name of 2 runs"):
            compare(runs, "run")


LIVE: dict[str, Setting] = {"problems": "exam", "digest": "of the problems", "model": "m", "grouping": "auto"}


class TestReplays:
    def test_the_even_run_that_is_replayed_is_the_baseline_of_its_replays(self, tmp_path: Path) -> None:
        even = written(tmp_path / "even", [finished("p", answer="1", tokens=400)], **LIVE)
        runs = [even, *(replay_of(even, tmp_path / policy, policy=policy) for policy in ("decided", "beta"))]
        rows = compare(runs).rows
        assert [row.label for row in rows] == ["even", "decided", "beta"]
        assert [row.against for row in rows] == [None, "even", "even"]
        for row in rows[1:]:
            assert row.baseline is Baseline.RUN
            assert row.saved is not None
            assert row.saved.value == 0.75
            assert row.gained is not None
            assert row.gained.value == -1.0
            assert row.changed is not None
            assert row.changed.value == 1.0

    @pytest.mark.parametrize("different", [{"cap": 5}, {"algorithm": "best-of-n"}, {"grouping": "symbolic"}])
    def test_a_replay_that_was_asked_for_something_else_has_no_baseline(
        self, tmp_path: Path, different: dict[str, Setting]
    ) -> None:
        even = written(tmp_path / "even", [finished("p")], algorithm="sc", **LIVE)
        replay = replay_of(even, tmp_path / "replay", "2", **{"algorithm": "sc", "grouping": "auto", **different})
        assert compare([even, replay]).rows[1].baseline is Baseline.ESTIMATED

    def test_a_replay_of_another_run_has_no_baseline(self, tmp_path: Path) -> None:
        even = written(tmp_path / "even", [finished("p")], **LIVE)
        other = written(tmp_path / "other", [finished("p")], trace="even", digest="another journal's", policy="beta")
        assert compare([even, other]).rows[1].baseline is Baseline.ESTIMATED

    def test_a_replay_is_paired_with_the_run_it_replays_whatever_their_seeds(self, tmp_path: Path) -> None:
        live = [written(tmp_path / f"e{s}", [finished("p", answer=str(s))], seed=s, **LIVE) for s in (0, 1)]
        replay = replay_of(live[1], tmp_path / "replay", answer="1", seed=0)
        even, replayed = grouped([*live, replay])
        counterpart = even_counterpart(replayed, [even, replayed])
        assert counterpart is not None
        assert [run.path.name for run in counterpart.runs] == ["e1"]
        row = compare([*live, replay]).rows[1]
        assert row.against == "even × 2 seeds"
        assert row.changed is not None
        assert row.changed.value == 0.0

    def test_an_even_replay_comes_before_the_run_itself(self, tmp_path: Path) -> None:
        live = written(tmp_path / "live", [finished("p")], **LIVE)
        runs = [live, replay_of(live, tmp_path / "even", policy="even"), replay_of(live, tmp_path / "beta")]
        assert compare(runs).rows[2].against == "even, live"

    def test_journals_are_read_again_only_where_a_replay_asks(self, tmp_path: Path) -> None:
        runs = loaded(tmp_path, both_at(10))
        compare(runs)
        assert ["journal_digest" in vars(run) for run in runs] == [False, False]


def replay_of(source: Run, directory: Path, answer: str = "2", **settings: Setting) -> Run:
    digest = sha256((source.path / "journal.jsonl").read_bytes()).hexdigest()
    record = finished("p", answer=answer, tokens=100, correct=0.0)
    own: dict[str, Setting] = {"policy": "beta", "trace": source.name, "digest": digest, "grouping": "auto"}
    return written(directory, [record], **{**own, **settings})
