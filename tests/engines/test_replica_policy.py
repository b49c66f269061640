"""What decides over replicas: placement, breaker, outage, budget, and what becomes of a request that is lost."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from dynasor.engines.replica_breaker import Breaker, BreakerState
from dynasor.engines.replica_calls import Call
from dynasor.engines.replica_faults import Verdict, verdict
from dynasor.engines.replica_outage import Outage
from dynasor.engines.replica_placement import REMEMBERED, Load, Placement
from dynasor.engines.replica_policy import ReplicaPolicy
from dynasor.errors import UsageError
from dynasor.request import Completion, Finish, ProgramId, Report, RequestId
from support.live_engine import request

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN
POLICY = ReplicaPolicy(failures=3, open_s=10.0, free_requests=4, load_bound=1.25)
ID = RequestId(ProgramId("p"), 0)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"failures": 0}, "must be more than 0"),
        ({"check_every_s": 0.0}, "must be more than 0"),
        ({"patience_s": -1.0}, "no negative number"),
        ({"load_bound": 0.9}, "load_bound is 0.9"),
    ],
)
def test_a_policy_that_cannot_be(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        ReplicaPolicy(**wrong)


def test_the_budget_is_a_share_of_what_is_in_flight_and_never_less_than_its_floor() -> None:
    policy = ReplicaPolicy(budget_share=0.25, budget_floor=2)
    allowed = {count: [again for again in range(40) if policy.may_reissue(again, count)] for count in (0, 8, 100)}
    assert {count: len(again) for count, again in allowed.items()} == {0: 2, 8: 2, 100: 25}


class TestPlacement:
    def test_programs_go_to_the_least_loaded_and_stay_there(self) -> None:
        placement = Placement(POLICY)
        loads = [Load(1, 100), Load(2, 50), Load(1, 50)]
        assert placement.place(ProgramId("a"), loads, [0, 1, 2]) == 2
        assert placement.place(ProgramId("a"), [Load(), Load(), Load(3, 999)], [0, 1, 2]) == 2, "it is not overloaded"

    def test_from_an_overloaded_replica_a_request_goes_on_and_its_program_stays(self) -> None:
        placement = Placement(POLICY)
        assert placement.place(ProgramId("a"), [Load(), Load()], [0, 1]) == 0
        free, even, over = [Load(3, 3), Load()], [Load(9, 9), Load(8, 8)], [Load(12, 12), Load(6, 6)]
        assert [placement.place(ProgramId("a"), loads, [0, 1]) for loads in (free, even, over, even)] == [0, 0, 1, 0]

    def test_where_its_replica_is_gone_a_program_moves_for_good(self) -> None:
        placement, idle = Placement(POLICY), [Load(), Load()]
        assert [placement.place(ProgramId("a"), idle, offered) for offered in ([0, 1], [1], [0, 1])] == [0, 1, 1]
        assert placement.place(ProgramId("a"), idle, []) is None

    @pytest.mark.slow
    @given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), max_size=60))
    def test_the_same_events_give_the_same_places_and_no_replica_more_than_its_bound(
        self, events: list[tuple[int, int]]
    ) -> None:
        def play() -> list[int | None]:
            placement, counts = Placement(POLICY), [0, 0, 0]
            places: list[int | None] = []
            for program, down in events:
                offered = [index for index in range(3) if index != down]
                loads = [Load(count, 10 * count) for count in counts]
                place = placement.place(ProgramId(str(program)), loads, offered)
                assert place in offered
                counts[place] += 1
                even = sum(counts[index] for index in offered) / len(offered)
                least = min(counts[index] for index in offered if index != place)
                assert counts[place] <= max(4, 1.25 * even) or counts[place] <= least + 1
                places.append(place)
            return places

        assert play() == play()

    def test_it_forgets_the_program_longest_unheard_of(self) -> None:
        placement = Placement(POLICY)
        for index in range(REMEMBERED + 1):
            placement.place(ProgramId(str(index)), [Load(), Load()], [1])
        idle = [Load(), Load()]
        assert [placement.place(ProgramId(name), idle, [0, 1]) for name in ("0", "2")] == [0, 1]


class TestBreaker:
    def test_it_opens_after_failures_in_a_row(self) -> None:
        breaker = Breaker(POLICY)
        for outcome in "ff+ff":
            breaker.succeed() if outcome == "+" else breaker.fail(0.0)
        assert (breaker.state, breaker.admits) == (CLOSED, True)
        breaker.fail(0.0)
        assert (breaker.state, breaker.admits) == (OPEN, False)

    def test_a_health_check_after_the_pause_lets_one_request_try(self) -> None:
        breaker = opened(at=100.0)
        breaker.pass_check(109.0)
        assert breaker.state is OPEN
        breaker.pass_check(110.0)
        assert (breaker.state, breaker.admits) == (HALF_OPEN, True)
        breaker.begin()
        assert not breaker.admits
        breaker.abstain()
        assert (breaker.state, breaker.admits) == (HALF_OPEN, True), "it was cut and tells nothing"
        breaker.begin()
        breaker.succeed()
        assert (breaker.state, breaker.admits) == (CLOSED, True)

    def test_a_failed_try_opens_it_for_another_pause(self) -> None:
        breaker = opened(at=0.0)
        breaker.pass_check(10.0)
        breaker.begin()
        breaker.fail(30.0)
        breaker.pass_check(39.0)
        assert breaker.state is OPEN
        breaker.pass_check(40.0)
        assert breaker.state is HALF_OPEN

    def test_failures_while_it_is_open_do_not_lengthen_the_pause(self) -> None:
        breaker = opened(at=0.0)
        breaker.fail(9.0)
        breaker.pass_check(10.0)
        assert breaker.state is HALF_OPEN

    def test_a_replica_is_dead_after_failed_health_checks_in_a_row(self) -> None:
        breaker = Breaker(POLICY)
        assert [breaker.fail_check(0.0) for _ in range(2)] == [False, False]
        breaker.pass_check(0.0)
        assert [breaker.fail_check(0.0) for _ in range(4)] == [False, False, True, True]
        assert breaker.state is OPEN
        assert breaker.passed_check_count == 1

    @pytest.mark.slow
    @given(st.lists(st.sampled_from(["begin", "succeed", "fail", "abstain", "pass", "fail_check"]), max_size=60))
    def test_it_never_admits_while_open_and_one_at_most_while_half_open(self, events: list[str]) -> None:
        breaker, trying = Breaker(POLICY), False
        for now, event in enumerate(events):
            before = breaker.state
            match event:
                case "begin":
                    if breaker.admits:
                        breaker.begin()
                        trying = before is HALF_OPEN
                case "pass":
                    breaker.pass_check(float(now))
                case "fail_check":
                    breaker.fail_check(float(now))
                case _:
                    breaker.fail(float(now)) if event == "fail" else getattr(breaker, event)()
            if event not in ("begin", "pass"):
                trying = False
            admits = {CLOSED: True, OPEN: False, HALF_OPEN: not trying}
            assert breaker.admits is admits[breaker.state]
            assert breaker.state is not CLOSED or before is CLOSED or event == "succeed"


def opened(at: float) -> Breaker:
    breaker = Breaker(POLICY)
    for _ in range(POLICY.failures):
        breaker.fail(at)
    assert breaker.state is OPEN
    return breaker


def test_an_outage_lasts_until_somebody_has_answered() -> None:
    outage = Outage(patience_s=60.0)
    assert not outage.is_hopeless({OPEN, CLOSED}, 0.0)
    outage.note({OPEN}, 10.0)
    assert not outage.is_hopeless({OPEN}, 69.0)
    assert not outage.is_hopeless({OPEN, HALF_OPEN}, 71.0), "something is being tried"
    assert outage.is_hopeless({OPEN}, 72.0)
    outage.note({OPEN, CLOSED}, 73.0)
    assert not outage.is_hopeless({OPEN}, 100.0)


@pytest.mark.parametrize(
    ("finish", "error", "retryable", "due"),
    [
        (Finish.STOP, None, False, Verdict.ANSWERED),
        (Finish.LENGTH, None, False, Verdict.ANSWERED),
        (Finish.CANCELLED, None, False, Verdict.NEUTRAL),
        (Finish.FAILED, "400 no", False, Verdict.NEUTRAL),
        (Finish.FAILED, "the answer took more than 9 s", True, Verdict.NEUTRAL),
        (Finish.FAILED, "429 slow down", True, Verdict.OVERLOADED),
        (Finish.FAILED, "503 starting", True, Verdict.FAULTY),
        (Finish.FAILED, "Connection reset by peer", True, Verdict.FAULTY),
    ],
)
def test_verdicts(finish: Finish, error: str | None, retryable: bool, due: Verdict) -> None:
    assert verdict(Completion(id=ID, finish=finish, error=error, retryable=retryable)) is due


class TestCalls:
    def test_a_lost_request_goes_on_behind_its_last_report(self) -> None:
        call = Call(request("Q", max_tokens=100))
        assert call.report(Report(id=ID, text="one two", tokens=2)).tokens == 2
        call.lose(5)
        assert (call.attempt().prompt, call.attempt().sampling.max_tokens) == ("Qone two", 98)
        assert call.report(Report(id=ID, text=" three", tokens=1)) == Report(id=ID, text="one two three", tokens=3)
        call.lose(None)
        assert call.attempt().prompt == "Qone two three"
        whole = call.whole(Completion(id=ID, text=" four", tokens=1))
        assert (whole.text, whole.tokens) == ("one two three four", 5 + 1 + 1)

    @pytest.mark.parametrize("asked", [request("Q", seed=1), request("Q", logprobs=True), request("Q", max_tokens=2)])
    def test_it_starts_anew_where_the_rest_would_be_another_or_is_nothing(self, asked: Any) -> None:
        call = Call(asked)
        call.report(Report(id=ID, text="one two", tokens=2))
        call.lose(3)
        assert call.attempt() == asked
        assert call.whole(Completion(id=ID, text="all", tokens=4)) == Completion(id=ID, text="all", tokens=7)

    def test_with_a_seed_that_draws_nothing_it_goes_on(self) -> None:
        call = Call(request("Q", seed=1, temperature=0.0))
        call.report(Report(id=ID, text="one", tokens=1))
        call.lose(1)
        assert call.attempt().prompt == "Qone"

    def test_the_ends_of_a_request_that_was_cut(self) -> None:
        call = Call(request("Q"), cut=True, spent_tokens=3, kept=Report(id=ID, text="one", tokens=1))
        failed = Completion(id=ID, finish=Finish.FAILED, tokens=2, error="503", retryable=True)
        assert call.whole(failed) == Completion(id=ID, finish=Finish.CANCELLED, text="one", tokens=5)
        assert call.whole(replace(failed, tokens=None)).tokens is None
        whole = Completion(id=ID, text=" two", tokens=1)
        assert call.whole(whole).finish is Finish.STOP, "it was done before it was cut"

    def test_nobody_is_told_of_a_cut_that_he_did_not_ask_for(self) -> None:
        call = Call(request("Q"), reissues=3)
        told = call.whole(Completion(id=ID, finish=Finish.CANCELLED, text="one", tokens=1))
        assert (told.finish, told.text, told.tokens, told.retryable) == (Finish.FAILED, "", 1, True)
        assert told.error == "its replica fell silent (issued 4 times)"
