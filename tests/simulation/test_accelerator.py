import pytest

from dynasor.errors import UsageError
from dynasor.request import Finish
from dynasor.simulation.accelerator import Accelerator
from dynasor.simulation.kernel import picoseconds
from dynasor.simulation.kv_cache import KvCache
from dynasor.simulation.limits import Limits
from dynasor.simulation.order import FirstCome
from support.simulated import LINE, Run, asked, engine, run


def test_three_requests_by_hand() -> None:
    """Milliseconds: 1 a step, 0.1 a decoding sequence, 0.01 a prompt token, 0.001 a cached token; 16 tokens a step.

    Step 1, 0 to 1.160: ten tokens of a, six of b. Step 2, to 2.411: a decodes over 11, the other fourteen of b. Step 3,
    to 3.644: a over 12 and b over 21; both end. c came in its midst. Step 4, to 4.694: the five tokens of c.
    """
    served = run(engine(), [(0, asked("a", 10, 3)), (0, asked("b", 20, 2)), (2.5e-3, asked("c", 5, 1))])
    assert [(one.id.program, one.tokens) for one in served] == [("a", 3), ("b", 2), ("c", 1)]
    assert [one.first_token_at for one in served] == [1.160e-3, 2.411e-3, 4.694e-3]
    assert [one.ended_at for one in served] == [3.644e-3, 3.644e-3, 4.694e-3]
    assert [one.admitted_at for one in served] == [0.0, 0.0, 3.644e-3]
    assert served[2].latency_s == pytest.approx(2.194e-3)


def test_more_than_may_run_wait_in_order() -> None:
    accelerator = engine(limits=Limits(sequences=1, step_tokens=64))
    served = run(accelerator, [(0, asked("a", 10, 2)), (0, asked("b", 10, 2)), (0, asked("c", 10, 2))])
    assert [one.id.program for one in served] == ["a", "b", "c"]
    assert served[1].admitted_at == served[0].ended_at
    assert accelerator.steps == 6


def test_a_prompt_looks_back_at_its_earlier_pieces() -> None:
    seen = []

    class Seen:
        kv_token_ps = 0

        def step_ps(self, decoding: int, prompt_tokens: int, pairs: int) -> int:
            seen.append((decoding, prompt_tokens, pairs))
            return 1

    run(Accelerator(Seen(), KvCache(100), Limits(4, 16)), [(0, asked("a", 40, 2))])
    assert seen == [(0, 16, 0), (0, 16, 16 * 16), (0, 8, 8 * 32), (1, 0, 0)]


def test_who_lacks_memory_goes_and_is_computed_again() -> None:
    """Five blocks of four tokens; each comes to hold three. b, the later, goes when a needs its third."""
    accelerator = engine(5)
    first, second = run(accelerator, [(0, asked("a", 8, 5)), (0, asked("b", 8, 5))])
    assert (first.id.program, first.preemptions, first.tokens) == ("a", 0, 5)
    assert (second.id.program, second.preemptions, second.tokens) == ("b", 1, 5)
    assert accelerator.preemptions == 1
    assert accelerator.prompt_tokens == 8 + 8 + 9, "its prompt, and the one token that it had generated"
    assert accelerator.output_tokens == 10
    assert second.first_token_at == first.first_token_at == 1.16e-3
    assert accelerator.cache.free == accelerator.cache.capacity


def test_the_victim_is_told_from_outside() -> None:
    accelerator = Accelerator(LINE, KvCache(5, 4), Limits(4, 16), victim=lambda running, now_s: next(iter(running)))
    served = run(accelerator, [(0, asked("a", 8, 5)), (0, asked("b", 8, 5))])
    assert [(one.id.program, one.preemptions) for one in served] == [("b", 0), ("a", 1)]


def test_a_prompt_that_lacks_memory_in_its_midst_waits_again() -> None:
    """Its first sixteen tokens fit beside a, the rest does not; so it goes as often as it comes, until a is larger."""
    accelerator = engine(9)
    first, second = run(accelerator, [(0, asked("a", 15, 9)), (2e-3, asked("b", 30, 2))])
    assert (first.id.program, first.preemptions) == ("a", 0)
    assert (second.id.program, second.preemptions) == ("b", 2)
    assert second.admitted_at is not None
    assert second.admitted_at < first.ended_at < second.first_token_at  # type: ignore[operator]
    assert accelerator.cache.free == 9


def test_a_shared_prompt_is_computed_once() -> None:
    accelerator = engine(limits=Limits(8, 64))
    served = run(
        accelerator, [(0, asked(name, 12, 3, "p", 10)) for name in "abc"] + [(1.0, asked("d", 12, 3, "p", 10))]
    )
    assert [one.cached_tokens for one in served] == [0, 8, 8, 8], "two blocks of four; the third is not full"
    assert accelerator.prompt_tokens == 12 + 4 + 4 + 4
    assert (accelerator.cache.asked_tokens, accelerator.cache.hit_tokens) == (48, 24)
    assert (accelerator.cache.free, accelerator.cache.idle, accelerator.cache.taken) == (998, 2, 0)


def test_a_block_that_becomes_full_in_two_pieces_is_shared_then() -> None:
    accelerator = engine(limits=Limits(4, 6))
    assert [one.cached_tokens for one in run(accelerator, [(0, asked(name, 8, 2, "p", 8)) for name in "ab"])] == [0, 4]
    assert (accelerator.cache.idle, accelerator.cache.taken) == (2, 0)


def test_the_last_token_of_a_prompt_is_always_computed() -> None:
    accelerator = engine()
    assert [one.cached_tokens for one in run(accelerator, [(0, asked(name, 8, 1, "p", 8)) for name in "ab"])] == [0, 4]
    assert accelerator.cache.prefix_blocks == 2


def test_who_is_cut_ends_with_the_step_that_runs() -> None:
    accelerator = engine()
    made = Run(accelerator)
    a, b, c = asked("a", 10, 1000), asked("b", 10, 3), asked("c", 10, 3)
    for request in (a, b):
        made.submit_at(0, request)
    made.cancel_at(10e-3, a.id)
    made.submit_at(20e-3, c)
    b_served, a_served, c_served = made.to_end()
    assert (a_served.finish, b_served.finish, c_served.finish) == (Finish.CANCELLED, Finish.STOP, Finish.STOP)
    assert 10e-3 <= a_served.ended_at < 11.2e-3, "the end of the step that ran"
    assert a_served.tokens == accelerator.output_tokens - 6
    assert accelerator.cache.free == accelerator.cache.capacity


def test_who_waits_is_cut_at_once_and_who_has_ended_is_left() -> None:
    made = Run(engine(limits=Limits(1, 16)))
    a, b = asked("a", 10, 3), asked("b", 10, 3)
    made.submit_at(0, a)
    made.submit_at(0, b)
    made.cancel_at(1e-3, b.id)
    made.cancel_at(1.0, a.id)
    b_served, a_served = made.to_end()
    assert (b_served.finish, b_served.tokens, b_served.ended_at) == (Finish.CANCELLED, 0, 1e-3)
    assert b_served.admitted_at is None
    assert b_served.first_token_at is None
    assert a_served.finish is Finish.STOP


def test_between_two_stretches_a_cut_is_immediate() -> None:
    accelerator = engine()
    request = asked("a", 10, 3)
    accelerator.submit(request, 0)
    end = accelerator.start(0)
    assert end == picoseconds(1.1e-3)
    assert accelerator.finish() == []
    served = accelerator.cancel(request.id, end)
    assert served is not None
    assert (served.tokens, served.ended_at) == (1, 1.1e-3)
    assert accelerator.start(end) is None
    with pytest.raises(AssertionError, match="no stretch to finish"):
        accelerator.finish()


def test_first_come_first_served_keeps_places() -> None:
    order, a, b = FirstCome(), asked("a", 1, 1), asked("b", 1, 1)
    assert order.next(0.0) is None
    order.add(a, 0.0)
    order.add(b, 0.0)
    order.start(a.id, 0.0)
    assert order.next(0.0) == b.id
    order.put_back(a.id, 0.0)
    assert order.next(0.0) == a.id
    order.remove(a.id, 0.0)
    assert order.next(0.0) == b.id
    order.start(b.id, 0.0)
    order.finish(b.id, 1, 0.0)
    assert order.next(0.0) is None


def test_what_cannot_be_is_refused() -> None:
    accelerator = engine(5)
    with pytest.raises(UsageError, match="comes to hold 21 tokens, and the cache holds 20; enlarge it"):
        accelerator.submit(asked("a", 18, 4), 0)
    accelerator.submit(asked("a", 17, 4), 0)
    with pytest.raises(UsageError, match="is here already"):
        accelerator.submit(asked("a", 1, 1), 0)
    with pytest.raises(UsageError, match="0 prompt and 4 output tokens"):
        asked("a", 0, 4)
    with pytest.raises(UsageError, match="shares 9 tokens of a prompt of 8"):
        asked("a", 8, 4, "p", 9)
    with pytest.raises(UsageError, match="every sequence needs a token of a step"):
        Limits(sequences=17, step_tokens=16)
