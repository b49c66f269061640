import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynasor.allocation.compose import FirstToStop
from dynasor.allocation.decided import Decided
from dynasor.allocation.hopeless import UNCERTAIN, Hopeless
from dynasor.allocation.progress import Grant, Policy, Progress, stop
from dynasor.answers.grouping import ByText
from dynasor.answers.voting import Ballot, Votes
from dynasor.certaindex.entropy import entropy_certaindex
from dynasor.errors import UsageError

POLICY = Hopeless(floor=0.3, patience=5, detect_at=10)


def vote(answers: str, cap: int = 40) -> Progress:
    ballot = Ballot(ByText())
    for branch, answer in enumerate(answers):
        ballot.cast(branch, None if answer == "-" else answer)
    return Progress(len(answers), cap, entropy_certaindex(ballot), votes=ballot.votes())


def test_it_does_not_judge_before_its_detection_step() -> None:
    assert POLICY(vote("")) == Grant(10)
    assert POLICY(vote("abcdefg")) == Grant(3)


def test_no_majority_in_sight_is_uncertain() -> None:
    # 2 of 10: five more for the leader make 7 of 15, less than half
    assert POLICY(vote("aabcdefghi")) == stop(UNCERTAIN)
    assert POLICY(vote("-" * 10)) == stop(UNCERTAIN), "nobody has answered"


def test_a_majority_within_reach_is_waited_for() -> None:
    # 3 of 10: five more make 8 of 15; with two other votes it would be 8 of 17
    assert POLICY(vote("aaabcdefgh")) == Grant(2)


def test_several_strong_answers_are_no_reason_to_stop() -> None:
    progress = vote("aaaaaabbbbbbcccccc", cap=60)  # 6 of 18: 11 of 23; but certaindex is 0.62
    assert progress.certaindex > 0.6
    assert POLICY(progress) == Grant(5)


def test_certaindex_at_the_floor_is_not_below_it() -> None:
    progress = vote("aabcdefghi")
    assert Hopeless(floor=progress.certaindex, patience=5)(progress) == Grant(5)


def test_a_program_without_votes_is_never_stopped() -> None:
    assert POLICY(Progress(20, 40, certaindex=0.0, votes=Votes()))


def test_with_others_the_reason_is_that_of_the_one_that_stopped() -> None:
    policy = FirstToStop((Decided(), POLICY))
    assert policy(vote("aabcdefghi")) == stop(UNCERTAIN)
    assert policy(vote("a" * 21)).reason == "decided"


@settings(max_examples=30)
@given(st.text("abcdefgh", min_size=10, max_size=40))
def test_no_stop_is_missed_by_granting_several_at_once(answers: str) -> None:
    """Where certaindex is always below the floor, it stops where it would if asked after every branch."""
    policy = Hopeless(floor=1.0, patience=5, detect_at=10)
    one_by_one = next((n for n in range(10, len(answers)) if not policy(vote(answers[:n]))), None)
    if _always_low(answers):
        assert _stopped_at(policy, answers) == one_by_one


def _always_low(answers: str) -> bool:
    return all(vote(answers[:n]).certaindex < 1.0 for n in range(10, len(answers) + 1))


def _stopped_at(policy: Policy, answers: str) -> int | None:
    drawn = 0
    while drawn < len(answers):
        grant = policy(vote(answers[:drawn]))
        if not grant:
            return drawn
        drawn += grant.knob
    return None


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"floor": 1.5}, "floor is 1.5"), ({"patience": 0}, "patience is 0"), ({"detect_at": 0}, "detect_at is 0")],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Hopeless(**settings)  # type: ignore[arg-type]
