"""vLLM's waiting queue, in the order of the scheduler. It knows of a request only its id.

vLLM looks at the first request, allocates its blocks and only then takes it: so within a step the order stands once it
was looked at, whatever has changed since.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from typing import Generic, Protocol, TypeVar

from dynasor.inside.ranking import Started
from dynasor.vllm_plugin.ranking import Ranking

_ARRANGED = 128  # requests that an ordering which arranges puts in order at once
_SET_ASIDE = 16  # times as many are asked for where vLLM has set aside all that were told


class Identified(Protocol):
    """A request of vLLM's."""

    request_id: str


R = TypeVar("R", bound=Identified)


class ProgramQueue(Generic[R]):
    """The methods of vLLM's `RequestQueue`, and the two ends of a step.

    A request that is taken counts as started; vLLM also takes requests that it cannot start yet and puts them back
    within the step, and then all is as if it had not been taken.
    """

    def __init__(self, ranking: Ranking) -> None:
        self._ranking = ranking
        self._waiting: OrderedDict[str, R] = OrderedDict()
        self._front: deque[str] = deque()  # next in this step
        self._taken: dict[str, Started] = {}  # in this step
        self._now = 0.0

    def begin_step(self, now: float) -> None:
        """The order of the last step no longer stands."""
        self._now = now
        self._front.clear()

    def end_step(self) -> None:
        """What was taken in this step and not put back has started for good."""
        self._taken.clear()

    def add_request(self, request: R) -> None:
        """It waits; it has been told to the ranking before, or has run."""
        self._waiting[request.request_id] = request
        self._ranking.put_back(request.request_id, self._now)

    def peek_request(self) -> R:
        """The next request.

        Raises:
            IndexError: nothing waits.
        """
        return self._waiting[self._next()]

    def pop_request(self) -> R:
        """Take the next request.

        Raises:
            IndexError: nothing waits.
        """
        id = self._next()
        self._front.popleft()
        self._taken[id] = self._ranking.start(id, self._now, is_oldest=id == next(iter(self._waiting)))
        return self._waiting.pop(id)

    def prepend_request(self, request: R) -> None:
        """It was preempted."""
        self._prepend(request)
        self._ranking.counters.victims += self._ranking.put_back(request.request_id, self._now)

    def prepend_requests(self, requests: Iterable[R]) -> None:
        """They were taken in this step, and cannot be started yet."""
        for request in requests:
            started = self._taken.pop(request.request_id, None)
            if started is not None:
                self._ranking.unstart(request.request_id, started, self._now)
            self._prepend(request)

    def remove_request(self, request: R) -> None:
        """It waits no longer.

        Raises:
            ValueError: it did not wait.
        """
        if self._waiting.pop(request.request_id, None) is None:
            raise ValueError(f"request {request.request_id} does not wait")

    def remove_requests(self, requests: Iterable[R]) -> None:
        """Those of them that wait do so no longer."""
        for request in requests:
            self._waiting.pop(request.request_id, None)

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[R]:
        """By arrival: an order that does not change while one looks."""
        return iter(list(self._waiting.values()))

    def _prepend(self, request: R) -> None:
        self._waiting[request.request_id] = request
        self._waiting.move_to_end(request.request_id, last=False)

    def _next(self) -> str:
        """The id of the first, which stands until it is taken."""
        while self._front and self._front[0] not in self._waiting:
            self._front.popleft()
        if not self._front:
            self._look()
        return self._front[0]

    def _look(self) -> None:
        """Ask the ranking anew, for as few as will do; beyond what vLLM has set aside, the oldest is next."""
        if not self._waiting:
            raise IndexError("nothing waits")
        most = _ARRANGED if self._ranking.arranges else 1
        for asked in (most, _SET_ASIDE * most):
            ranked = self._ranking.order(self._now, asked)
            self._front.extend(id for id in ranked if id in self._waiting)
            if self._front:
                return
        self._front.append(next(iter(self._waiting)))
