"""Planted shifts on small recordings, and what the page says of them."""

from pathlib import Path
from random import Random

import msgspec
import pytest
from click.testing import CliRunner

from dynasor.bench.drift_runs import Promised, Watched, Watching, drawn, promised, watched
from dynasor.bench.drift_study import (
    NO_SHIFT,
    DriftPlan,
    DriftRow,
    Shift,
    _quantiles,
    parted_by_difficulty,
    study_shift,
)
from dynasor.bench.drift_tables import write_drift
from dynasor.calibration.drift import CHANGED, EFFORT, LOSS, Expectation
from dynasor.calibration.guarantee import Promise
from dynasor.calibration.profile import ProblemProfile, profiled
from dynasor.cli import main
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.wiring import make_policy
from support.profiles import path_of, profile_of, setup_at, synthetic

HASTY = "static:threshold=0.9,detect_at=2"
ALL = Watching("all", 1.0, labelled=True, efforts=True)
BLIND = Watching("blind", 1.0, labelled=False, efforts=False)
SIGHTED = Watching("sighted", 1.0, labelled=True, efforts=False)


def held(effort: float = 0.5) -> Promised:
    return Promised(HASTY, make_policy(HASTY)[0], Expectation(Promise(0.1, 0.9), 0.1, effort))


@pytest.mark.parametrize(
    ("answers", "watching", "reason"),
    [
        ("bbaaaa", SIGHTED, LOSS),
        ("bbaaaa", BLIND, CHANGED),
        ("abbaaa", ALL, EFFORT),
        ("aaaaaa", ALL, None),
        ("bbbbba", BLIND, None),
    ],
)
def test_a_run_comes_to_its_alarm_or_to_its_end(answers: str, watching: Watching, reason: str | None) -> None:
    paths = [path_of(answers)] * 60
    came = watched(held(), paths, watching, Random(0))
    assert came.reason == reason
    assert came.programs == came.shadows
    assert (came.programs < 60) == (reason is not None)


def test_so_many_are_drawn_and_each_once_before_any_twice() -> None:
    profiles = [profile_of(f"p{n}", "ab" * n, orders=2) for n in range(1, 6)]
    lengths = [path.cap for path in drawn(profiles, Random(1), 12)]
    assert sorted(lengths[:5]) == sorted(lengths[5:10]) == [2, 4, 6, 8, 10]
    assert len(lengths) == 12
    assert len(list(drawn(profiles, Random(1)))) == 5


def test_the_easier_ones_are_those_that_agree() -> None:
    profiles = [profile_of(word, word) for word in ("aabb", "aaaa", "abcd", "aaab")]
    easier, hardest = parted_by_difficulty(profiles)
    assert [each.id for each in easier] == ["aaaa", "aaab", "aabb"]
    assert [each.id for each in hardest] == ["abcd"]


def test_quantiles_count_a_run_without_an_alarm_as_beyond_all() -> None:
    def programs(each: Watched) -> int:
        return each.programs

    came = [Watched("x", n, 0) for n in range(1, 10)]
    assert _quantiles([*came, Watched(None, 3, 0)], programs) == (5, 9)
    assert _quantiles([*came[:8], Watched(None, 3, 0), Watched(None, 3, 0)], programs) == (5, None)


def test_a_calibration_is_held_to_its_own_bounds() -> None:
    profiles = profiled(synthetic(60, 8, seed=3), SelfConsistency, setup_at(8), orders=2)
    found = promised(profiles, Promise(0.3, 0.9), 0)
    assert found.expected.promise == Promise(0.3, 0.9)
    assert found.expected.effort is not None
    assert 0 < found.expected.changed < 1
    assert found.stops_at(profiles[0].paths[0]) == profiles[0].paths[0].stopped_at(found.policy)
    assert found.stops_at(profiles[0].paths[0]) == profiles[0].paths[0].stopped_at(found.policy)


def trace(path: Path, profiles_seed: int, count: int, *, hard: bool) -> None:
    rows = []
    for recording in synthetic(count, 8, seed=profiles_seed):
        answers = [s.answer for s in recording.samples]
        answers = [a if n % 2 else "x" if hard else "a" for n, a in enumerate(answers)]
        samples = [{"answer": a, "tokens": 10, "correct": a == "a"} for a in answers]
        rows.append({"id": recording.problem.id, "samples": samples})
    path.write_bytes(_compressed(b"".join(msgspec.json.encode(row) + b"\n" for row in rows)))


def _compressed(text: bytes) -> bytes:
    import zstandard

    return zstandard.ZstdCompressor().compress(text)


@pytest.fixture
def plan(tmp_path: Path) -> DriftPlan:
    trace(tmp_path / "easy.jsonl.zst", 1, 120, hard=False)
    trace(tmp_path / "hard.jsonl.zst", 2, 60, hard=True)
    return DriftPlan(tmp_path, 3, Promise(0.2, 0.9), (Shift("easy", "hard", 8), Shift("easy", None, 8)), orders=1)


@pytest.mark.slow
def test_a_shift_is_caught_and_its_absence_is_not(plan: DriftPlan, tmp_path: Path) -> None:
    rows = [row for shift in plan.shifts for row in study_shift(shift, plan)]
    assert {row.shift for row in rows} == {NO_SHIFT, "to hard", "to its hardest quarter"}
    everything = [row for row in rows if row.watching.startswith("all tests")]
    assert [row.alarms.value for row in everything if row.shift == NO_SHIFT] == [0.0, 0.0]
    caught = next(row for row in everything if row.shift == "to hard")
    assert caught.alarms.value > 0.5
    assert caught.programs[0] is not None
    assert caught.programs[0] < 500
    assert caught.reasons.keys() == {EFFORT}
    assert (caught.calibrated, caught.runs, sum(caught.policies.values())) == (60, 3, 3)
    write_drift(rows, {"made": "here"}, tmp_path / "out", tmp_path / "page" / "drift.md")
    page = (tmp_path / "page" / "drift.md").read_text()
    assert "| easy | to hard |" in page
    assert "- made: `here`" in page
    first, *lines = (tmp_path / "out" / "rows.jsonl").read_bytes().splitlines()
    assert msgspec.json.decode(first) == {"made": "here"}
    assert [msgspec.json.decode(line, type=DriftRow) for line in lines] == rows
    assert (tmp_path / "out" / "shadows-until-alarm.png").read_bytes().startswith(b"\x89PNG")


def test_a_folder_without_the_recordings_is_refused(tmp_path: Path) -> None:
    for name in ("drift", "budget"):
        result = CliRunner().invoke(main, ["bench", name, str(tmp_path)])
        assert result.exit_code == 2
        assert "no such trace: " in result.stderr
        assert result.stderr.endswith("name the folder of the recordings\n")


def test_a_recording_is_found_by_its_name(tmp_path: Path) -> None:
    assert DriftPlan(tmp_path, 2).file("one") == tmp_path / "one.jsonl.zst"
    assert Shift("one", "other", 5).recordings == ("one", "other")
    assert Shift("one", None, 5).recordings == ("one",)


def test_profiles_are_looked_at_by_place_and_not_by_value() -> None:
    same: list[ProblemProfile] = [profile_of("p", "aab"), profile_of("p", "aab")]
    given = held()
    assert [given.stops_at(profile.paths[0]) for profile in same] == [2, 2]
