from dynasor.request import ProgramId, RequestId
from dynasor.runtime.outage import Outage

A, B = RequestId(ProgramId("a"), 0), RequestId(ProgramId("b"), 0)


def test_without_patience_nothing_is_kept() -> None:
    outage = Outage(0.0)
    assert not outage.keeps(A, 0.0)
    assert (outage.is_on, outage.pause_until) == (False, 0.0)


def test_a_request_is_kept_so_long_from_its_first_let_down_on() -> None:
    outage = Outage(10.0)
    assert [outage.keeps(A, now) for now in (5.0, 10.0, 14.9, 15.0)] == [True, True, True, False]
    assert outage.keeps(A, 15.0), "if it comes again, its time begins anew"


def test_pauses_double_up_to_16_seconds_and_what_falls_together_counts_once() -> None:
    outage, now, pauses = Outage(1e9), 0.0, []
    for _ in range(8):
        assert outage.keeps(A, now)
        assert outage.keeps(B, now)
        pauses.append(outage.pause_until - now)
        now = outage.pause_until
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 16.0, 16.0]


def test_one_answer_ends_it() -> None:
    outage = Outage(10.0)
    outage.keeps(A, 0.0)
    outage.ended(B, answered=False)
    assert outage.is_on
    outage.ended(B, answered=True)
    assert (outage.is_on, outage.pause_until) == (False, 0.0)
    assert outage.keeps(A, 9.0)
    assert not outage.keeps(A, 10.0), "it was let down ten seconds ago, whatever became of others"


def test_a_program_that_is_gone_is_forgotten() -> None:
    outage = Outage(10.0)
    outage.keeps(A, 0.0)
    outage.forget(A.program)
    assert outage.keeps(A, 9.0)
    assert outage.keeps(A, 18.0), "its time began anew"
