"""The queue's order, with requests that are as SGLang's where it matters."""

import random
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from dynasor.inside.ranking import Ranking
from dynasor.inside.tags import Tags, encoded
from dynasor.sglang_plugin.order import QueueOrder, tags_of
from dynasor.sglang_plugin.rids import rid
from dynasor.sglang_plugin.settings import Settings


@dataclass(eq=False)
class Reason:
    kind: str

    def to_json(self) -> dict[str, str]:
        return {"type": self.kind}


@dataclass(eq=False)
class Req:
    rid: str
    tags: Tags = field(default_factory=Tags)
    session_id: str | None = None
    output_ids: list[int] = field(default_factory=list)
    finished_reason: Reason | None = None

    def __post_init__(self) -> None:
        self.kv = SimpleNamespace(holds_kv=False)
        self.sampling_params: Any = SimpleNamespace(custom_params=encoded(self.tags))

    def finished(self) -> bool:
        return self.finished_reason is not None

    def run(self, tokens: int = 0) -> "Req":
        self.kv.holds_kv = True
        self.output_ids.extend([7] * tokens)
        return self

    def end(self, reason: str = "length") -> None:
        self.kv.holds_kv = False
        self.finished_reason = Reason(reason)


def made(program: str, branch: int = 0, **told: Any) -> Req:
    return Req(f"{program}{branch}", Tags(program=program, **told))


def order(ordering: str = "sjf", **settings: Any) -> QueueOrder[Req]:
    return QueueOrder(Ranking(Settings(ordering=ordering, branch_tokens=100, **settings)))


def ids(queue: list[Req]) -> list[str]:
    return [request.rid for request in queue]


def test_the_shortest_program_is_at_the_front_and_branches_stay_together() -> None:
    queue = [made(program, branch, remaining_tokens=tokens) for branch in (0, 1) for program, tokens in NEEDS.items()]
    order().arrange(queue, 0.0)
    assert ids(queue) == ["b0", "b1", "c0", "c1", "a0", "a1"]


NEEDS = {"a": 300.0, "b": 100.0, "c": 200.0}


def test_what_has_begun_goes_on_before_others_begin() -> None:
    arranged = order("gang")
    queue = [made("a"), made("b"), made("a", 1), made("b", 1)]
    arranged.arrange(queue, 0.0)
    assert ids(queue) == ["a0", "a1", "b0", "b1"]
    queue.pop(2).run()  # as where SGLang passes over what it cannot start
    arranged.arrange(queue, 1.0)
    assert ids(queue) == ["b1", "a0", "a1"]


def test_what_was_generated_counts_and_what_was_aborted_has_not_landed() -> None:
    arranged = order()
    queue = [made("a", remaining_tokens=300.0), made("a", 1), made("b", remaining_tokens=250.0)]
    arranged.arrange(queue, 0.0)
    assert ids(queue) == ["b0", "a0", "a1"]
    running = queue.pop(1).run(90)
    arranged.arrange(queue, 1.0)
    arranged.arrange(queue, 1.0)
    assert ids(queue) == ["a1", "b0"]
    running.end("abort")
    queue.append(made("c"))
    arranged.arrange(queue, 2.0)
    assert ids(queue) == ["c0", "a1", "b0"], "100, the default: no branch of 90 has landed"


def test_what_came_to_its_end_teaches_how_long_branches_are() -> None:
    arranged = order()
    queue = [made("a", data_set="short"), made("b", data_set="long")]
    arranged.arrange(queue, 0.0)
    for request, tokens in zip(list(queue), (10, 400), strict=True):
        request.run(tokens).end()
    queue.clear()
    queue += [made("c", data_set="long"), made("d", data_set="short")]
    arranged.arrange(queue, 1.0)
    assert ids(queue) == ["d0", "c0"]
    assert arranged.ranking.counters.started == 2


def test_aborted_in_the_queue_nothing_is_left_of_it() -> None:
    arranged = order()
    queue = [made("a"), made("b")]
    arranged.arrange(queue, 0.0)
    del queue[0]
    arranged.arrange(queue, 0.0)
    assert ids(queue) == ["b0"]
    queue.clear()
    arranged.arrange(queue, 100.0)
    arranged.arrange(queue, 200.0)
    assert arranged.ranking.counters.programs == 0
    assert arranged.ranking.counters.started == 0


def test_what_is_preempted_waits_where_it_stood() -> None:
    arranged = order("fcfs")
    queue = [made("a"), made("b"), made("c")]
    arranged.arrange(queue, 0.0)
    first = queue.pop(0).run(5)
    arranged.arrange(queue, 1.0)
    first.kv.holds_kv = False
    queue.append(first)
    arranged.arrange(queue, 2.0)
    assert ids(queue) == ["a0", "b0", "c0"]
    assert arranged.ranking.counters.victims == 1
    assert arranged.ranking.counters.requests_running == 0 or arranged.ranking.counters.programs_running == 0


def test_preempted_and_then_aborted_it_is_gone() -> None:
    arranged = order("fcfs")
    queue = [made("a")]
    arranged.arrange(queue, 0.0)
    queue.pop().run(5)
    arranged.arrange(queue, 1.0)
    assert arranged.ranking.counters.programs_running == 1
    for request in list(arranged._running.values()):
        request.kv.holds_kv = False
    arranged.arrange(queue, 2.0)
    assert arranged.ranking.counters.programs_running == 0


def test_an_id_that_comes_again_is_what_sglang_has_now() -> None:
    arranged = order()
    queue = [made("a"), made("b")]
    arranged.arrange(queue, 0.0)
    queue[0] = again = made("a")
    arranged.arrange(queue, 1.0)
    assert again in queue
    queue.remove(again.run(5))
    arranged.arrange(queue, 2.0)
    again.end()
    queue.append(made("a"))
    arranged.arrange(queue, 3.0)
    assert (ids(queue), arranged.ranking.counters.started) == (["a0", "b0"], 1)
    assert not arranged._running


def test_the_last_program_is_preempted_first() -> None:
    arranged = order("gang")
    queue = [made("a"), made("b"), made("a", 1)]
    arranged.arrange(queue, 0.0)
    running = [request.run() for request in queue]
    queue.clear()
    arranged.arrange(queue, 1.0)
    unknown = Req("health check").run()
    kept = arranged.kept([unknown, *reversed(running)], 1.0)
    assert [([unknown, *reversed(running)][index]).rid for index in kept] == ["a0", "a1", "b0", "health check"]


def test_what_is_behind_the_front_stays_as_it_is() -> None:
    queue = [made("p", index, remaining_tokens=1.0) for index in range(100)]
    queue.append(made("q", remaining_tokens=0.0))
    order("fcfs").arrange(queue, 0.0)
    assert ids(queue) == [*(f"p{index}" for index in range(100)), "q0"]
    shuffled = [made(f"p{index}-", remaining_tokens=float(1000 - index)) for index in range(100)]
    order().arrange(shuffled, 0.0)
    assert ids(shuffled) == [*(f"p{index}-0" for index in range(99, 67, -1)), *(f"p{index}-0" for index in range(68))]


def test_the_front_is_as_long_as_sglang_takes() -> None:
    arranged = order()
    queue = [made(f"p{index}-", remaining_tokens=float(index)) for index in range(300, 0, -1)]
    arranged.arrange(queue, 0.0)
    for request in queue[:32]:
        request.run()
    del queue[:32]
    arranged.arrange(queue, 1.0)
    assert ids(queue)[:96] == [f"p{index}-0" for index in range(33, 129)]


def test_counted_in_tokens_time_never_goes_back() -> None:
    arranged = order()
    queue = [made("a")]
    arranged.arrange(queue, 0.0)
    assert arranged.progress_s(50, 10.0) == 5.0
    running = queue.pop().run(20)
    arranged.arrange(queue, 5.0)
    assert arranged.progress_s(50, 10.0) == 7.0
    running.kv.holds_kv = False
    queue.append(running)
    arranged.arrange(queue, 7.0)
    assert arranged.progress_s(50, 10.0) == 7.0, "what is preempted has been generated all the same"
    queue.pop().run(10)
    arranged.arrange(queue, 7.0)
    assert arranged.progress_s(50, 10.0) == 8.0


def test_identities_go_from_what_is_told_to_the_session_to_the_id() -> None:
    assert tags_of(Req(rid("from id", "3"))).program == "from id"
    assert tags_of(Req(rid("from id", "3"), session_id="session")).program == "session"
    assert tags_of(Req(rid("from id", "3"), Tags(program="told"), "session")).program == "told"
    assert tags_of(Req("cmpl-1")).program is None
    bare = Req("pooled")
    bare.sampling_params = None
    assert tags_of(bare) == Tags()


@pytest.mark.parametrize("seed", range(20))
def test_no_request_is_lost_or_comes_twice_whatever_happens(seed: int) -> None:
    rng = random.Random(seed)
    arranged, queue, running, now = order("aging:patience=1+gang+sjf"), list[Req](), list[Req](), 0.0
    for step in range(200):
        now += rng.random()
        for index in range(rng.randrange(4)):
            queue.append(made(f"p{rng.randrange(6)}-", step * 10 + index, remaining_tokens=rng.random() * 500))
        if queue and rng.random() < 0.2:
            queue.pop(rng.randrange(len(queue)))  # aborted
        if running and rng.random() < 0.2:
            preempted = running.pop(rng.randrange(len(running)))
            preempted.kv.holds_kv = False
            queue.append(preempted)
        for request in [request for request in running if rng.random() < 0.3]:
            running.remove(request)
            request.end(rng.choice(["stop", "length", "abort"]))
        before = set(queue)
        arranged.arrange(queue, now)
        assert set(queue) == before
        assert len(queue) == len(before)
        for _ in range(min(len(queue), rng.randrange(4))):
            passed_over = rng.randrange(len(queue)) if rng.random() < 0.1 else 0
            running.append(queue.pop(passed_over).run(rng.randrange(50)))
    for request in running:
        request.end()
    queue.clear()
    arranged.arrange(queue, now)
    arranged.arrange(queue, now + 1000.0)
    assert arranged.ranking.counters.programs == arranged.ranking.counters.programs_running == 0
    assert not arranged._running
    assert not arranged._waiting
