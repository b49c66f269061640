import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynasor.allocation.allocator import InFlight, InRounds
from dynasor.allocation.baselines import Beta, Even, Windows
from dynasor.allocation.decided import Decided
from dynasor.allocation.progress import Policy
from dynasor.allocation.threshold import StaticThreshold, SteppedThreshold
from dynasor.errors import ProgramError
from dynasor.programs.program import Program
from dynasor.programs.steps import Execution
from dynasor.request import Completion, Finish
from support.programs import cut, indices, landing, outcome_of, play, session_of

FIVE_THEN_JUDGE = StaticThreshold(threshold=0.7, detect_at=5)


def land_all(session: object, answers: list[str | None], start: int = 0) -> list[object]:
    effects: list[object] = []
    for index, answer in enumerate(answers, start):
        effects = session.land(landing(index, answer), 1.0)  # type: ignore[attr-defined]
    return effects


def test_a_walk_of_figure_6_where_the_program_is_certain_after_its_first_grant() -> None:
    session = session_of(InRounds(FIVE_THEN_JUDGE), cap=20)
    (submit,) = session.start(now=3.0)
    assert indices(submit) == [0, 1, 2, 3, 4], "the initial resource: 5 branches"
    for index in range(4):
        assert session.land(landing(index, "2"), now=4.0) == []
    outcome = outcome_of(session.land(landing(4, "2"), now=5.0))
    assert (outcome.answer, outcome.certaindex, outcome.knob, outcome.tokens) == ("2", 1.0, 5, 50)
    assert (outcome.stopped_by, outcome.started_at, outcome.finished_at) == ("certain", 3.0, 5.0)


def test_a_walk_of_figure_6_where_the_program_is_not_certain_and_goes_to_its_cap() -> None:
    session = session_of(InRounds(FIVE_THEN_JUDGE), cap=8)
    session.start(0.0)
    (submit,) = land_all(session, ["2", "2", "2", "2", "3"])
    assert indices(submit) == [5, 6, 7], "4 of 5 is 0.689, below 0.7, so all that remains is granted"  # type: ignore[arg-type]
    outcome = outcome_of(land_all(session, ["3", "3", "3"], start=5))  # type: ignore[arg-type]
    assert (outcome.answer, outcome.knob, outcome.stopped_by) == ("2", 8, "cap"), "4 against 4: 2 came first"


def test_in_flight_everything_starts_at_once_and_the_needless_is_cut() -> None:
    session = session_of(InFlight(FIVE_THEN_JUDGE), cap=8)
    (submit,) = session.start(0.0)
    assert indices(submit) == list(range(8))
    for index in (7, 1, 2, 6):
        assert session.land(landing(index, "2"), 1.0) == []
    (cancel,) = session.land(landing(0, "2"), 1.0)
    assert indices(cancel) == [3, 4, 5]
    assert session.land(cut(3, tokens=4), 1.0) == []
    assert session.land(landing(4, "9", tokens=11), 1.0) == [], "it ended before the cut reached it: paid for, no vote"
    outcome = outcome_of(session.land(cut(5, tokens=None), 1.0))
    assert outcome.answer == "2"
    assert (outcome.cut_count, outcome.cut_tokens) == (3, 4 + 11 + 10), "an unknown cost counts as a mean branch"
    assert (outcome.tokens, outcome.knob, outcome.stopped_by) == (50 + 25, 5, "certain")


@pytest.mark.parametrize("policy", [FIVE_THEN_JUDGE, SteppedThreshold(0.7, 5, 2), Windows(3), Beta(), Decided()])
@given(votes=st.lists(st.sampled_from(["a", "a", "b", None]), min_size=12, max_size=12))
def test_cutting_in_flight_decides_as_rounds_do_when_branches_land_in_order(
    policy: Policy, votes: list[str | None]
) -> None:
    def answers(index: int) -> Completion:
        return landing(index, votes[index])

    in_rounds = play(session_of(InRounds(policy), cap=12), answers)
    in_flight = play(session_of(InFlight(policy), cap=12), answers)
    assert (in_rounds.answer, in_rounds.knob, in_rounds.stopped_by) == (
        in_flight.answer,
        in_flight.knob,
        in_flight.stopped_by,
    )
    assert in_flight.tokens == in_rounds.tokens + 4 * (12 - in_rounds.knob)


@given(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=9, max_size=9), st.permutations(range(9)))
def test_decided_answers_as_even_does_whatever_the_order_of_landing(votes: list[str | None], order: list[int]) -> None:
    def answers(index: int) -> Completion:
        return landing(index, votes[index])

    even = play(session_of(InRounds(Even()), cap=9), answers, order)
    for allocator in (InFlight(Decided()), InRounds(Decided())):
        outcome = play(session_of(allocator, cap=9), answers, order)
        assert outcome.answer == even.answer
        assert outcome.tokens <= even.tokens


@given(st.lists(st.sampled_from(["a", "b", None]), min_size=15, max_size=15), st.integers(1, 15))
def test_the_cap_is_never_passed(votes: list[str | None], cap: int) -> None:
    policies: list[Policy] = [Even(), Decided(), Beta(), SteppedThreshold(1.0, 1, 4)]
    for policy in policies:
        for allocator in (InFlight(policy), InRounds(policy)):
            outcome = play(session_of(allocator, cap=cap), lambda index: landing(index, votes[index]))
            assert outcome.knob + outcome.cut_count <= cap


def test_a_failed_branch_turns_the_knob_but_does_not_vote() -> None:
    session = session_of(cap=3)
    session.start(0.0)
    session.land(landing(0, "2"), 1.0)
    session.land(landing(1, None, tokens=0, finish=Finish.FAILED, error="400 too long"), 1.0)
    outcome = outcome_of(session.land(landing(2, "2"), 1.0))
    assert (outcome.answer, outcome.certaindex, outcome.knob, outcome.failed_count) == ("2", 1.0, 3, 1)


def test_a_program_whose_branches_all_fail_has_no_answer() -> None:
    outcome = play(session_of(cap=2), lambda index: landing(index, finish=Finish.FAILED, tokens=0, error="400"))
    assert (outcome.answer, outcome.failed_count, outcome.tokens) == (None, 2, 0)


def test_what_is_not_in_flight_cannot_land() -> None:
    session = session_of(cap=1)
    session.start(0.0)
    with pytest.raises(ProgramError, match="request 7 of program p is not in flight"):
        session.land(landing(7, "2"), 1.0)


class Greedy(Program):
    """Asks for one more branch than it was granted."""

    def execute(self) -> Execution:
        knob = yield self.claim()
        yield self.gang(knob + 1)
        return None


class Idle(Program):
    def execute(self) -> Execution:
        yield self.claim()
        yield self.gang(0)
        return None


class Babbler(Program):
    def execute(self) -> Execution:
        yield "five branches, please"  # type: ignore[misc]
        return None


class Backwards(Program):
    def execute(self) -> Execution:
        yield self.claim()
        yield self.gang([self.request()], knob=-1)
        return None


class Numeric(Program):
    def execute(self) -> Execution:
        yield self.claim()
        return 5  # type: ignore[return-value]


class Boundless(Program):
    def execute(self) -> Execution:
        yield self.claim()
        return "5"

    def update_certaindex(self) -> None:
        self.certaindex = float("nan")


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (Backwards, "Backwards.execute turned its knob by -1; it turns forwards, or not at all"),
        (Numeric, "Numeric.execute returned 5; an answer is text, or None for none"),
        (Boundless, "Boundless.update_certaindex set nan; certaindex is a number in"),
        (Greedy, "Greedy.execute turned its knob by 21 where 20 was granted"),
        (Idle, "Idle.execute yielded a gang without requests"),
        (Babbler, "Babbler.execute yielded 'five branches, please', which is no step of a program"),
    ],
)
def test_a_program_that_breaks_the_rules_is_told_which(program: type[Program], message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        session_of(cap=20, program=program).start(0.0)


class Pairs(Program):
    """One turn of the knob is a pair of requests."""

    def execute(self) -> Execution:
        while (yield self.claim()):
            landed = yield self.gang([self.request(), self.request()], knob=1)
            assert len(landed) == 2
        return self.evidence.ballot.majority


def test_a_gang_may_turn_the_knob_by_less_than_its_requests() -> None:
    session = session_of(InRounds(SteppedThreshold(1.0, 1, 1)), cap=3, program=Pairs)
    outcome = play(session, lambda index: landing(index, str(index % 2)))
    assert outcome.knob == 3
    assert outcome.tokens == 60
