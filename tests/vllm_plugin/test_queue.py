from dataclasses import dataclass

import pytest

from dynasor.inside.tags import Tags
from dynasor.vllm_plugin.queue import ProgramQueue
from dynasor.vllm_plugin.ranking import Ranking
from dynasor.vllm_plugin.settings import Settings


@dataclass(eq=False)
class FakeRequest:
    request_id: str


class Host:
    """What vLLM does with the queue."""

    def __init__(self, ordering: str = "gang+sjf") -> None:
        self.ranking = Ranking(Settings(ordering=ordering))
        self.queue: ProgramQueue[FakeRequest] = ProgramQueue(self.ranking)
        self.now = 0.0

    def add(self, id: str, tokens: float | None = None) -> FakeRequest:
        """A request of the program that its first letter names."""
        self.ranking.arrive(id, Tags(program=id[0], remaining_tokens=tokens), self.now)
        request = FakeRequest(id)
        self.queue.add_request(request)
        return request

    def step(self, most: int = 99) -> list[str]:
        self.now += 1
        self.ranking.step(self.now)
        self.queue.begin_step(self.now)
        taken: list[str] = []
        while self.queue and len(taken) < most:
            seen = self.queue.peek_request()
            assert self.queue.pop_request() is seen
            taken.append(seen.request_id)
        self.queue.end_step()
        return taken


def test_requests_are_taken_in_the_order_of_the_scheduler() -> None:
    host = Host()
    for id, tokens in {"a0": 500, "b0": 30, "a1": 500, "c0": 90, "b1": 30}.items():
        host.add(id, tokens)
    assert len(host.queue) == 5
    assert host.step() == ["b0", "b1", "c0", "a0", "a1"]
    assert not host.queue
    assert host.ranking.counters.reorders == 3  # c0 was the oldest but a0, and so on


def test_the_order_of_a_step_stands_once_it_was_looked_at() -> None:
    host = Host("sjf")
    host.add("a0", 50)
    host.queue.begin_step(1.0)
    assert host.queue.peek_request().request_id == "a0"
    host.add("b0", 10)
    assert host.queue.pop_request().request_id == "a0"
    host.queue.end_step()
    assert host.step() == ["b0"]


def test_a_request_that_was_taken_and_put_back_has_not_started() -> None:
    host = Host()
    host.add("a0", 10)
    host.add("b0", 90)
    host.queue.begin_step(1.0)
    skipped = [host.queue.pop_request()]
    assert host.queue.peek_request().request_id == "b0", "what was set aside is not offered again in this step"
    host.queue.prepend_requests(skipped)
    host.queue.end_step()
    assert host.ranking.counters.started == 0
    assert host.step(1) == ["a0"]


def test_a_preempted_request_waits_where_it_stood() -> None:
    host = Host("fcfs")
    first = host.add("a0")
    host.add("b0")
    assert host.step(1) == ["a0"]
    host.add("c0")
    host.queue.prepend_request(first)
    assert host.ranking.counters.victims == 1
    assert host.step() == ["a0", "b0", "c0"]


def test_who_waits_no_longer_is_not_offered() -> None:
    host = Host("fcfs")
    requests = [host.add(id) for id in ("a0", "b0", "c0")]
    host.queue.begin_step(1.0)
    assert host.queue.peek_request() is requests[0]
    host.queue.remove_request(requests[0])
    host.queue.remove_requests(requests[:2])
    for request in requests[:2]:
        host.ranking.end(request.request_id, 0, 1.0)
    assert list(host.queue) == requests[2:]
    assert host.step() == ["c0"]
    with pytest.raises(ValueError, match="a0 does not wait"):
        host.queue.remove_request(requests[0])
    with pytest.raises(IndexError):
        host.queue.peek_request()


@pytest.mark.parametrize("aside", [1, 15, 16, 40])
def test_what_vllm_has_set_aside_is_passed_over(aside: int) -> None:
    host = Host("sjf")
    for number in range(aside):
        host.queue.remove_request(host.add(f"a{number}", 10))
    host.add("b0", 90)
    host.add("c0", 50)
    assert host.step() == (["c0", "b0"] if aside < 16 else ["b0", "c0"]), "beyond what is looked at, the oldest"
