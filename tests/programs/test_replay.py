from hypothesis import given
from hypothesis import strategies as st

from dynasor.allocation.allocator import InFlight, InRounds
from dynasor.allocation.decided import Decided
from dynasor.allocation.progress import Policy
from dynasor.allocation.threshold import StaticThreshold, SteppedThreshold
from dynasor.programs.replay import replay
from dynasor.programs.session import Outcome, Session
from dynasor.request import Completion
from support.programs import cut, landing, play, session_of

policies = st.sampled_from([StaticThreshold(0.7, 5), SteppedThreshold(0.7, 3, 2), Decided()])
votes_of_ten = st.lists(st.sampled_from(["a", "a", "b", None]), min_size=10, max_size=10)


def journal_of(session: Session, votes: list[str | None], order: list[int]) -> tuple[list[Completion], Outcome]:
    landed: list[Completion] = []
    land = session.land

    def spy(completion: Completion, now: float) -> object:
        landed.append(completion)
        return land(completion, now)

    session.land = spy  # type: ignore[method-assign, assignment]
    outcome = play(session, lambda index: landing(index, votes[index]), order)
    return landed, outcome


@given(policies, st.booleans(), votes_of_ten, st.permutations(range(10)))
def test_a_whole_journal_replays_to_the_same_outcome(
    policy: Policy, in_flight: bool, votes: list[str | None], order: list[int]
) -> None:
    allocator = InFlight if in_flight else InRounds
    landed, outcome = journal_of(session_of(allocator(policy), cap=10), votes, order)
    whole = replay(session_of(allocator(policy), cap=10), landed, now=0.0)
    replayed = whole.outcome
    assert whole.requests == []
    assert replayed is not None
    assert (replayed.answer, replayed.tokens, replayed.knob, replayed.cut_tokens, replayed.stopped_by) == (
        outcome.answer,
        outcome.tokens,
        outcome.knob,
        outcome.cut_tokens,
        outcome.stopped_by,
    )


@given(policies, votes_of_ten, st.integers(0, 10))
def test_a_part_of_a_journal_leaves_just_the_rest_to_be_asked(
    policy: Policy, votes: list[str | None], kept: int
) -> None:
    landed, outcome = journal_of(session_of(InRounds(policy), cap=10), votes, list(range(10)))
    session = session_of(InRounds(policy), cap=10)
    part = replay(session, landed[:kept], now=0.0)
    requests, early = part.requests, part.outcome
    asked = {request.id.index for request in requests}
    assert asked.isdisjoint({completion.id.index for completion in landed[:kept]}), "nothing is paid for twice"
    while early is None and requests:
        done = requests.pop(0)
        for effect in session.land(landing(done.id.index, votes[done.id.index]), 0.0):
            requests += getattr(effect, "requests", ())
            early = getattr(effect, "outcome", None)
    assert early is not None
    assert (early.answer, early.tokens) == (outcome.answer, outcome.tokens)


def test_a_cut_whose_cost_was_lost_counts_nothing() -> None:
    landed = [landing(index, "a") for index in range(5)]
    whole = replay(session_of(InFlight(StaticThreshold(0.7, 5)), cap=8), landed, now=0.0)
    requests, outcome = whole.requests, whole.outcome
    assert requests == []
    assert outcome is not None
    assert (outcome.cut_count, outcome.cut_tokens, outcome.tokens) == (3, 0, 50)


def test_strangers_in_a_journal_are_passed_over() -> None:
    whole = replay(session_of(cap=2), [landing(9, "a"), cut(0), landing(0, "b"), landing(0, "b")], now=0.0)
    requests, outcome = whole.requests, whole.outcome
    assert outcome is None
    assert [request.id.index for request in requests] == [1]
