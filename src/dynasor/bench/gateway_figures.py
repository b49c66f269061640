"""What the rows of a gateway benchmark come to: for every arm the median over rounds, against no gateway at all.

It computes; how it is shown is the business of `gateway_page` and `gateway_plots`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from dynasor.bench.gateway_overhead import Row

DIRECT, OURS, FLOOR = "direct", "dynasor", "bare"


@dataclass(frozen=True, slots=True)
class Figure:
    """A median over rounds, and the least and the most of them."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure of `dynasor` is to be: at least (`sign` 1) or at most (-1) so much."""

    name: str
    unit: str
    sign: int
    bound: float

    def holds(self, value: float) -> bool:
        """Whether it is."""
        return self.sign * value >= self.sign * self.bound


GOALS = {
    "rate": Goal("requests a second on one core", "/s", 1, 5000),
    "cpu_request": Goal("CPU a request", "us", -1, 200),
    "added_p50": Goal("added latency, p50", "ms", -1, 1.0),
    "added_p99": Goal("added latency, p99", "ms", -1, 3.0),
    "stream_first": Goal("added time to the first token, p50", "ms", -1, 1.0),
    "cpu_token": Goal("CPU a streamed token", "us", -1, 45),
    "memory": Goal("memory of an open stream", "kB", -1, 30),
}

_OF: dict[str, tuple[str, Callable[[Row], float]]] = {
    "rate": ("plain", lambda row: row.found.rate),
    "cpu_request": ("plain", lambda row: row.us_per_request),
    "waiting_p50": ("waiting", lambda row: row.found.latency.p50),
    "waiting_p99": ("waiting", lambda row: row.found.latency.p99),
    "first": ("streams", lambda row: row.found.first.p50),
    "first_at_once": ("streams at once", lambda row: row.found.first.p50),
    "delay_p50": ("streams", lambda row: row.found.delay.p50),
    "delay_p99": ("streams", lambda row: row.found.delay.p99),
    "cpu_token": ("fast streams", lambda row: row.us_per_token),
    "token_rate": ("fast streams", lambda row: row.found.token_rate),
    "memory": ("held", lambda row: row.kb_per_stream),
    "idle": ("held", lambda row: row.idle_mib),
}
_ADDED = {
    "added_p50": "waiting_p50",
    "added_p99": "waiting_p99",
    "stream_first": "first",
    "at_once_first": "first_at_once",
}


class Figures:
    """All figures of one study."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows

    @property
    def arms(self) -> list[str]:
        """In the order in which they were first measured in a first round."""
        return list(dict.fromkeys(row.arm for row in self._rows))

    @property
    def failed_count(self) -> int:
        """Requests of all arms that were not answered in full."""
        return sum(row.found.failed for row in self._rows)

    def failed_of(self, arm: str) -> int:
        """The same of one arm."""
        return sum(row.found.failed for row in self._rows if row.arm == arm)

    def figure(self, arm: str, name: str) -> Figure | None:
        """One figure; added latencies are against no gateway in the same round. None where it was not measured."""
        if name in _ADDED:
            own, none = self._values(arm, _ADDED[name]), self._values(DIRECT, _ADDED[name])
            values = [own[turn] - none[turn] for turn in own if turn in none]
        else:
            values = list(self._values(arm, name).values())
        return Figure(median(values), min(values), max(values)) if values else None

    def times(self, arm: str, name: str, of: str = FLOOR) -> float | None:
        """A figure as a multiple of another arm's."""
        own, other = self.figure(arm, name), self.figure(of, name)
        return own.value / other.value if own and other and other.value else None

    def _values(self, arm: str, name: str) -> dict[int, float]:
        load, value = _OF[name]
        return {row.round: value(row) for row in self._rows if (row.arm, row.load) == (arm, load)}
