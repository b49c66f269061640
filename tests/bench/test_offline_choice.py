"""Halves share no question, a choice sees its own half alone, and the oracle is the least."""

from collections.abc import Mapping

import pytest

from dynasor.allocation.threshold import StaticThreshold
from dynasor.bench.offline_arms import OURS_TUNED, PAPER, Arm, Half, arms, every_size, sweep
from dynasor.bench.offline_choice import Book, Division, chosen, divisions, judged
from dynasor.bench.offline_figures import Table, bands, correlation, excess, swept, waiting, zones
from dynasor.bench.offline_replays import Replay, measured, replays_of
from dynasor.bench.offline_rows import ORACLE
from dynasor.bench.offline_workloads import Workload, caps_of, workload_of
from dynasor.calibration.candidates import Candidate
from dynasor.datasets.problem import Recording
from support.profiles import profile_of, recording, synthetic

ANY = Workload("any", "m", "t", "other")
SHARED = Workload("shared", "m", "t", "other", shares_questions=True)


def replayed(recordings: list[Recording], cap: int, orders: int = 1) -> list[Replay]:
    return replays_of(recordings, cap, orders)


def test_every_problem_is_judged_once_a_division_by_what_did_not_see_it() -> None:
    replays = replayed(synthetic(11, 6, seed=1), 6)
    parts = list(divisions(replays, ANY, 3))
    assert len(parts) == 6
    for part in parts:
        assert sorted(part.calibration + part.evaluation) == list(range(11))
    for seed in range(3):
        assert sorted(n for part in parts if part.seed == seed for n in part.evaluation) == list(range(11))
    assert parts[0] != parts[2], "each division is another"


def test_ids_that_share_a_question_are_never_in_different_halves() -> None:
    recordings = [recording(f"{model}/q{n}", "aabab") for model in ("x", "y/z") for n in range(7)]
    for part in divisions(replayed(recordings, 5), SHARED, 2):
        questions = [
            {recordings[n].problem.id.rpartition("/")[2] for n in side} for side in (part.calibration, part.evaluation)
        ]
        assert not questions[0] & questions[1]


def test_the_setting_that_saves_most_without_a_loss_is_chosen() -> None:
    """Three of five agree on the wrong answer at first: what stops at three loses."""
    recordings = [recording(f"p{n}", "bbbaaaa") for n in range(6)]
    book = Book(in_recorded_order(recordings), 7)
    rash, careful = (Candidate(f"static at {at}", StaticThreshold(0.0, at)) for at in (3, 7))
    middle = Candidate("static at 6", StaticThreshold(0.0, 6))
    arm = Arm("any", PAPER, lambda half: {"rash": rash, "middle": middle, "careful": careful})
    part = Division(0, (0, 1, 2), (3, 4, 5))
    name, _ = chosen(arm, book, part)
    assert book.of(rash).loss > 0.5
    assert name == ("middle" if book.of(middle).loss <= 0 else "careful")


def in_recorded_order(recordings: list[Recording]) -> list[Replay]:
    """Replays whose first order is the recorded one: letters are put where the seed will take them from."""
    from dynasor.engines.recorded import RecordedEngine

    found = []
    for one in recordings:
        order = RecordedEngine({one.problem.id: one.samples}, seed=0).order(one.problem.id)
        placed = [""] * len(order)
        for place, sample in zip(order, one.samples, strict=True):
            placed[place] = str(sample.answer)
        found.append(recording(one.problem.id, "".join(placed)))
    return replayed(found, len(found[0].samples))


def test_what_is_fitted_is_not_judged_where_it_was_fitted() -> None:
    replays = replayed(synthetic(16, 6, seed=2), 6)
    seen: list[frozenset[str]] = []

    def settings(half: Half) -> Mapping[str, Candidate]:
        seen.append(frozenset(replay.id for replay in half.replays))
        # the larger threshold loses less, whatever the half: only the names matter here
        return {
            name: Candidate(f"{name} {len(seen)}", StaticThreshold(value, 3))
            for name, value in (("a", 0.0), ("b", 1.0))
        }

    part = Division(0, tuple(range(8)), tuple(range(8, 16)))
    chosen(Arm("any", PAPER, settings, learns=True), Book(replays, 6), part)
    calibration = {replays[place].id for place in part.calibration}
    assert seen[0] == calibration
    assert len(seen) == 3
    assert seen[1] | seen[2] == calibration
    assert not seen[1] & seen[2]


@pytest.mark.slow
def test_all_arms_have_rows_and_none_beats_the_oracle_without_a_loss() -> None:
    replays = replayed(synthetic(40, 10, seed=4), 10, orders=2)
    book, table = Book(replays, 10), Table(replays, ANY)
    parts = list(divisions(replays, ANY, 1))
    found = {arm.name: judged(arm, book, parts) for arm in arms(0.1)}
    for arm in arms(0.1):
        table.add(arm, found[arm.name])
    rows, duels = table.rows()
    by_name = {row.arm: row for row in rows}
    assert rows[-1].arm == ORACLE
    assert by_name["even"].saved.value == pytest.approx(0)
    assert by_name["decided"].difference.value == 0
    assert by_name["decided"].saved.value > 0.2
    assert by_name[ORACLE].times.value == pytest.approx(1)
    assert by_name[ORACLE].saved.value == max(row.saved.value for row in rows if row.difference.value == 0)
    assert by_name["decided + beta 0.95"].tokens.value < by_name["beta 0.95"].tokens.value
    assert {duel.rule for duel in duels} == {name for name, row in by_name.items() if row.side == "neighbour"}
    duel = next(duel for duel in duels if duel.rule == "beta 0.95")
    assert duel.tokens.value == pytest.approx(by_name[OURS_TUNED].tokens.value / by_name["beta 0.95"].tokens.value)
    assert sum(by_name["beta, fitted"].settings.values()) == 2
    assert sum(excess(found[OURS_TUNED], replays).values()) == pytest.approx(1)
    assert [arm.name for arm in every_size() if arm.name not in by_name] == []


def test_a_sum_over_shared_questions_is_one_unit() -> None:
    replays = replayed([recording(f"{model}/q", "aaaaa") for model in ("x", "y")] + [recording("z/r", "bbbbb")], 5)
    assert Table(replays, SHARED).ones == [2.0, 1.0]
    assert Table(replays, ANY).ones == [1.0, 1.0, 1.0]


def test_zones_and_difficulty_are_told_from_the_answers() -> None:
    replays = replayed([recording("e", "aaaaaaa"), recording("w", "bbbbbbb")], 7)
    assert zones(replays) == (0.5, 0, 0.5)
    assert correlation(replays) is None, "all that are right needed one branch"
    easy, hard = (profile_of("p", letters).paths[0] for letters in ("aaaaaaa", "bbbbbbb"))
    assert (easy.needed, hard.needed) == (1, None)
    found = bands({"even": [70.0, 80.0]}, replays)
    assert [(band.low, band.problems, band.tokens["even"]) for band in found] == [(0.0, 1, 80.0), (0.9, 1, 70.0)]
    assert waiting(replays) == pytest.approx(
        sum(r.paths[0].tokens(3) for r in replays) / sum(r.paths[0].tokens(1) for r in replays)
    )


def test_a_lower_threshold_saves_no_less() -> None:
    replays = replayed(synthetic(20, 8, seed=6), 8)
    rows = sorted(swept(sweep(8), Book(replays, 8)), key=lambda row: row.threshold)
    assert len(rows) == 7, "five answers can be shared out in seven ways"
    assert [row.saved for row in rows] == sorted((row.saved for row in rows), reverse=True)
    assert rows[0].saved > rows[-1].saved
    assert sweep(5) == []
    assert measured(sweep(8)[0], replays).loss == pytest.approx(-rows[-1].difference)


def test_caps_are_those_that_are_recorded() -> None:
    assert caps_of([recording(f"{n}", "a" * 16) for n in range(20)], (5, 10, 15, 20)) == (5, 10, 16)
    assert caps_of([recording(f"{n}", "a" * 60) for n in range(20)], (5, 30, 50)) == (5, 30, 40)
    assert caps_of([recording(f"{n}", "a" * 60) for n in range(19)], (5,)) == ()
    assert caps_of([recording(f"{n}", "aaaa") for n in range(20)], (2,)) == ()


def test_a_recording_that_is_not_listed_is_a_workload_too() -> None:
    assert workload_of("x/gpt-4__asdiv.jsonl.zst").task == "ASDiv"
    assert workload_of("somewhere/mine.jsonl").name == "mine"
    assert workload_of("epoch-multi-model__otis_mock_aime.jsonl.zst").unit("a/b/q1") == "q1"
    assert ANY.unit("a/b/q1") == "a/b/q1"
