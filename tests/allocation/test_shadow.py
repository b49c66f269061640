import pytest

from dynasor.allocation.allocator import InRounds
from dynasor.allocation.baselines import Even
from dynasor.allocation.progress import Grant, Policy, Progress, stop
from dynasor.allocation.shadow import Shadow, WouldEnd, is_shadow
from dynasor.allocation.threshold import SteppedThreshold


def at(knob: int, certaindex: float = 0.0, cap: int = 10) -> Progress:
    return Progress(knob, cap, certaindex, tokens=10 * knob)


def test_it_follows_its_policy_until_that_stops_and_then_goes_to_the_cap() -> None:
    leading = iter(["first", "never asked again"])
    shadow = Shadow(SteppedThreshold(threshold=0.7, detect_at=3, step=2), lambda: next(leading))
    assert shadow(at(0)) == Grant(3)
    assert shadow(at(3, 0.5)) == Grant(2)
    assert [shadow.would_end] == [None]
    assert shadow(at(5, 0.8)) == Grant(5)
    assert shadow.would_end == WouldEnd("first", at(5, 0.8), "certain")
    assert shadow(at(7, 0.9)) == Grant(3), "a branch failed and was not counted: it still goes on"
    assert shadow.would_end == WouldEnd("first", at(5, 0.8), "certain")


def test_what_its_policy_grants_beyond_the_cap_is_cut() -> None:
    shadow = Shadow(lambda progress: Grant(99), lambda: None)
    assert shadow(at(4)) == Grant(6)
    assert InRounds(shadow).grant(at(10)).reason == "cap"
    assert shadow.would_end is None, "it would not have stopped"


@pytest.mark.parametrize("policy", [Even(), lambda progress: stop("at once")])
def test_it_never_stops_a_program(policy: Policy) -> None:
    shadow = Shadow(policy, lambda: None)
    assert all(shadow(at(knob)).knob > 0 for knob in range(10))


def test_the_share_is_drawn_from_seed_and_id_alone() -> None:
    ids = [f"p{n}" for n in range(4000)]
    drawn = [id for id in ids if is_shadow(id, 0.05, 0)]
    assert len(drawn) == pytest.approx(200, abs=60), "four standard deviations"
    assert drawn == [id for id in ids if is_shadow(id, 0.05, 0)]
    assert drawn != [id for id in ids if is_shadow(id, 0.05, 1)]
    assert set(drawn) < {id for id in ids if is_shadow(id, 0.2, 0)}, "a larger share has those of a smaller one"
    assert all(is_shadow(id, 1.0, 0) for id in ids)
    assert isinstance(is_shadow("\ud800", 0.5, 0), bool), "ids come from files of all kinds"
