"""What has come of exchanges so far, in numbers. It knows no programs, and no exposition format."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from dynasor.gateway.call import Call
from dynasor.gateway.counting import OTHER, SECONDS, Distribution
from dynasor.gateway.observation import Seen

_NO_ERROR = 400  # statuses below it


class Row(NamedTuple):
    """The labels of a request.

    Attributes:
        tenant: empty where nobody was asked who it is, or the key was not known.
        model: as it is served; "other" where it is not, and empty where none was asked.
    """

    route: str
    status: int
    tenant: str
    model: str


@dataclass(slots=True)
class Served:
    """Numbers of one row."""

    requests: int = 0
    prompt_tokens: int = 0
    generation_tokens: int = 0


def _distributions() -> "defaultdict[str, Distribution]":
    return defaultdict(partial(Distribution, SECONDS))


@dataclass(slots=True)
class RequestCounts:
    """All that has been counted.

    Attributes:
        is_served: whether a backend has a model of this name.
        served: by labels.
        refusals: by reason.
        aborts: requests cut at a backend, by why.
        reissues: of requests that a backend had lost, to a backend.
        deadlines: of clients that named one, whether the answer began in time.
        latency, first_token, queued: seconds, by route, of requests without an error.
    """

    is_served: Callable[[str], bool]
    served: defaultdict[Row, Served] = field(default_factory=partial(defaultdict, Served))
    refusals: defaultdict[str, int] = field(default_factory=partial(defaultdict, int))
    aborts: defaultdict[str, int] = field(default_factory=partial(defaultdict, int))
    reissues: int = 0
    deadlines: defaultdict[bool, int] = field(default_factory=partial(defaultdict, int))
    latency: defaultdict[str, Distribution] = field(default_factory=_distributions)
    first_token: defaultdict[str, Distribution] = field(default_factory=_distributions)
    queued: defaultdict[str, Distribution] = field(default_factory=_distributions)

    def take(self, seen: Seen) -> None:
        """An exchange has ended."""
        call, exchange = seen.call, seen.exchange
        if seen.reason is not None:
            self.refusals[seen.reason] += 1
        if call is None:
            self.served[Row(seen.route, exchange.status, "", "")].requests += 1
            return
        row = self.served[Row(seen.route, exchange.status, call.tenant.name, self._model(call.asked.model))]
        row.requests += 1
        if call.attempts:
            row.prompt_tokens += call.spent.prompt_tokens
            row.generation_tokens += call.spent.completion_tokens
            self.reissues += call.attempts - 1
            if exchange.gone or exchange.stopped is not None:
                self.aborts["client_left" if exchange.gone else seen.reason or OTHER] += 1
        if exchange.status < _NO_ERROR and seen.reason is None:
            self._time(seen, call)
        if call.deadline_s is not None:
            in_time = call.first_at is not None and call.first_at - call.arrived_at <= call.deadline_s
            self.deadlines[in_time] += 1

    def _time(self, seen: Seen, call: Call) -> None:
        self.latency[seen.route].add(seen.ended_at - seen.began_at)
        if call.started_at is not None:
            self.queued[seen.route].add(call.started_at - call.arrived_at)
        if call.first_at is not None:
            self.first_token[seen.route].add(call.first_at - call.arrived_at)

    def _model(self, asked: str | None) -> str:
        """What is asked may be anything; what is served is what the backends tell of."""
        if asked is None:
            return ""
        if self.is_served(asked):
            return asked
        name = asked.rpartition("@")[0]  # NAME@ALGORITHM
        return name if name and self.is_served(name) else OTHER
