"""SGLang's waiting queue, in the order of the scheduler. It knows of a request only what the protocols here say.

SGLang tells its policy nothing but the queue, whenever it has room: so what has come, started, ended and been aborted
since is read off the queue and the requests themselves, mostly off its two ends.
"""

from collections import OrderedDict
from collections.abc import Sized
from typing import Any, Final, Generic, Protocol, TypeVar

import msgspec

from dynasor.inside.ranking import Ranking
from dynasor.inside.tags import Tags, read_tags
from dynasor.sglang_plugin.rids import program_of

_LEAST: Final = 32  # requests that are put in order at the front; more where as many were started the last time


class Request(Protocol):
    """A request of SGLang's; its `kv.holds_kv` tells whether it has a place among those that run."""

    rid: str
    session_id: str | None
    sampling_params: Any
    finished_reason: Any
    kv: Any

    @property
    def output_ids(self) -> Sized:
        """The tokens that it has generated."""
        ...

    def finished(self) -> bool:
        """Whether it has come to its end, or was aborted while it ran."""
        ...


R = TypeVar("R", bound=Request)


class QueueOrder(Generic[R]):
    """Puts the queue in order.

    Attributes:
        ranking: the scheduler and what it counts.
    """

    def __init__(self, ranking: Ranking) -> None:
        self.ranking = ranking
        self._waiting: OrderedDict[str, R] = OrderedDict()  # by arrival
        self._running: dict[str, R] = {}
        self._front: dict[str, None] = {}  # what was put at the front the last time
        self._started = 0  # since then
        self._ended_tokens = 0
        self._passed_s = 0.0

    def arrange(self, queue: list[R], now: float) -> None:
        """Put what is next at the front, more than SGLang will start at once; what is behind stays as it is."""
        self.ranking.step(now)
        self._started = 0
        self._look_at_both_ends(queue, now)
        if len(self._waiting) != len(queue):
            self._look_at_all(queue, now)
        self._run(now)
        if not self._put(queue, now):
            self._look_at_all(queue, now)
            self._put(queue, now)

    def kept(self, requests: list[R], now: float) -> list[int]:
        """Indices of running requests, those to preempt first at the end."""
        return sorted(range(len(requests)), key=lambda index: self._key(requests[index], now))

    def progress_s(self, prompt_tokens: int, tokens_per_s: float) -> float:
        """The time by the tokens that were processed, prompts and answers; it never goes back."""
        generated = self._ended_tokens + sum(len(request.output_ids) for request in self._running.values())
        self._passed_s = max(self._passed_s, (prompt_tokens + generated) / tokens_per_s)
        return self._passed_s

    def _put(self, queue: list[R], now: float) -> bool:
        """Put requests at the front; returns False, and does nothing, where one of them is not in the queue."""
        self._front = dict.fromkeys(self.ranking.order(now, min(len(queue), _LEAST + 2 * self._started)))
        first = [self._waiting[id] for id in self._front]
        if queue[: len(first)] == first:
            return True
        chosen = set(first)
        rest = [request for request in queue if request not in chosen]
        if len(first) + len(rest) != len(queue):
            return False
        queue[:] = first + rest
        return True

    def _look_at_both_ends(self, queue: list[R], now: float) -> None:
        """What SGLang starts was at the front, and what arrives or was preempted is at the end: mostly this is all."""
        for id in self._front:
            request = self._waiting.get(id)
            if request is not None and (request.kv.holds_kv or request.finished()):
                self._leave(id, request, now)
        new: list[R] = []
        for request in reversed(queue):
            if self._waiting.get(request.rid) is not request:
                new.append(request)
            elif request.rid not in self._front:  # else it may have been started and preempted since
                break
        for request in reversed(new):
            self._wait(request, now)

    def _look_at_all(self, queue: list[R], now: float) -> None:
        """Something was aborted, or SGLang has passed over requests: compare one by one."""
        present = {request.rid: request for request in queue}
        for id, request in [entry for entry in self._waiting.items() if present.get(entry[0]) is not entry[1]]:
            self._leave(id, request, now)
        for request in queue:
            if self._waiting.get(request.rid) is not request:
                self._wait(request, now)

    def _leave(self, id: str, request: R, now: float) -> None:
        """What waited and does so no longer has started, or was aborted."""
        if request.kv.holds_kv or request.finished():
            self.ranking.start(id, now, is_oldest=id == next(iter(self._waiting)))
            self._running[id] = request
            self._started += 1
        else:
            self.ranking.end(id, 0, now)
        del self._waiting[id]

    def _wait(self, request: R, now: float) -> None:
        id, ran = request.rid, self._running.pop(request.rid, None)
        if self._waiting.pop(id, None) is not None:  # another of the same id, which was aborted
            self.ranking.end(id, 0, now)
        self._waiting[id] = request
        if ran is request:
            self.ranking.counters.victims += self.ranking.put_back(id, now)
            self._waiting.move_to_end(id, last=False)
            return
        if ran is not None:  # another of the same id, which has ended
            self._end(ran, now)
        self.ranking.arrive(id, tags_of(request), now)

    def _run(self, now: float) -> None:
        """What runs has generated more, or has ended."""
        for id, request in list(self._running.items()):
            if request.finished() or not request.kv.holds_kv:
                del self._running[id]
                self._end(request, now)
            else:
                self.ranking.grow(id, len(request.output_ids), now)

    def _end(self, request: R, now: float) -> None:
        """SGLang finds stop strings in its scheduler: so what was aborted has not landed."""
        tokens = len(request.output_ids)
        self._ended_tokens += tokens
        self.ranking.end(request.rid, 0 if _is_aborted(request) else tokens, now)

    def _key(self, request: R, now: float) -> tuple[float, ...]:
        id = request.rid
        return self.ranking.key(id, now) if self.ranking.program(id) is not None else (float("inf"),)


def tags_of(request: Request) -> Tags:
    """What a request tells: by its custom parameters, its session, and last by an id that names its program."""
    tags = read_tags(request.session_id, getattr(request.sampling_params, "custom_params", None))
    return tags if tags.program is not None else msgspec.structs.replace(tags, program=program_of(request.rid))


def _is_aborted(request: Request) -> bool:
    return not request.finished() or request.finished_reason.to_json().get("type") == "abort"
