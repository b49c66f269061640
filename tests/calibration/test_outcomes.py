"""What is worked out once for all splits is what each path would have come to by itself."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynasor.calibration.calibrate import divided
from dynasor.calibration.candidates import (
    DECIDED,
    EVEN,
    Candidate,
    curves,
    fitted,
    fixed,
    gains,
    read,
)
from dynasor.calibration.outcomes import Outcomes, measured
from dynasor.calibration.profile import Path, ProblemProfile, profiled
from dynasor.certaindex.entropy import attainable
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.wiring import make_policy
from support.profiles import path_of, setup_at, synthetic

PROFILES = profiled(synthetic(60, 12, seed=4), SelfConsistency, setup_at(12), orders=2)
CANDIDATES = [DECIDED, EVEN, *fixed(12), *fitted(PROFILES[:30])]


def by_itself(candidate: Candidate, profile: ProblemProfile) -> tuple[float, float]:
    """As the paths say it, one by one."""
    stops = [path.stopped_at(candidate.policy) for path in profile.paths]
    losses = [path.right[-1] - path.right[stop] for path, stop in zip(profile.paths, stops, strict=True)]
    spent = [path.spent[stop] for path, stop in zip(profile.paths, stops, strict=True)]
    return sum(losses) / len(stops), sum(spent) / len(stops)


@settings(max_examples=40)
@given(st.sampled_from(CANDIDATES), st.lists(st.integers(0, 59), min_size=1, max_size=8, unique=True))
def test_a_candidate_comes_to_what_its_policy_comes_to_on_every_path(candidate: Candidate, places: list[int]) -> None:
    found = Outcomes(PROFILES).measured(candidate, places)
    told = [by_itself(candidate, PROFILES[place]) for place in places]
    assert found.losses == pytest.approx([loss for loss, _ in told])
    assert found.spent == pytest.approx([spent for _, spent in told])
    assert list(found.even) == [sum(path.spent[-1] for path in PROFILES[place].paths) / 2 for place in places]


def test_what_is_known_is_not_worked_out_again_and_little_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dynasor.calibration.outcomes._KEPT", 2)
    outcomes = Outcomes(PROFILES)
    first = [outcomes.measured(candidate, range(10)) for candidate in CANDIDATES[:5]]
    assert [outcomes.measured(candidate, range(10)) for candidate in CANDIDATES[:5]] == first


def test_every_candidate_has_a_specification_that_names_it() -> None:
    texts = [candidate.text for candidate in CANDIDATES]
    assert len(set(texts)) == len(texts)
    for candidate in CANDIDATES:
        assert make_policy(candidate.text) == (candidate.policy, candidate.text)
    for kind in ("decided+beta:", "decided+hopeless:", "+hopeless:", "decided+curve:", "decided+gain:", "+beta:"):
        assert any(kind in text for text in texts), kind


def test_no_hopeless_candidate_comes_too_late_to_stop_anything() -> None:
    assert not any("hopeless" in candidate.text for candidate in fixed(10))
    assert any("hopeless" in candidate.text for candidate in fixed(11))


def test_nothing_is_said_of_no_problems() -> None:
    nothing = Outcomes(PROFILES).measured(DECIDED, [])
    assert (nothing.loss, nothing.saved, nothing.losses) == (0.0, 0.0, ())
    assert measured(DECIDED, PROFILES).saved == pytest.approx(measured(DECIDED, PROFILES).saving.value)


def test_a_program_that_ends_by_itself_is_asked_no_further() -> None:
    whole = path_of("aabaaaaaaa")
    short = Path(whole.progress[:5], whole.right[:5])
    found = measured(EVEN, [ProblemProfile("short", (short,))])
    assert (short.cap, short.end, found.spent) == (10, 4, (float(whole.spent[4]),))
    assert curves([ProblemProfile(f"{n}", (short,)) for n in range(30)], 10), "at 5 and at 8 nobody is asked any more"
    assert gains([ProblemProfile("short", (short,))], 10) == [], "its votes do not go to the cap"


def test_without_a_majority_thresholds_stand_at_what_was_read() -> None:
    found = read(PROFILES, 12)
    assert all(candidate.text.startswith(("static:", "stepped:")) for candidate in found)
    at_five = {c.text.partition("=")[2].partition(",")[0] for c in found if "detect_at=5" in c.text}
    assert {float(value) for value in at_five} <= {int(value * 10_000) / 10_000 for value in attainable(5)}
    assert not any("decided" in candidate.text for candidate in fitted(PROFILES, EVEN))


@given(st.integers(8, 60), st.integers(0, 5), st.floats(0.1, 0.9))
def test_parts_are_disjoint_and_whole(count: int, seed: int, share: float) -> None:
    one, other = divided(range(count), share, seed)
    assert sorted([*one, *other]) == list(range(count))
