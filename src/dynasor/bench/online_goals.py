"""What the paper reaches online (6.3, 6.5, 6.6), and whether it is reached here, by how much, and why."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from dynasor.bench.online_arms import BASELINES, DYNASOR
from dynasor.bench.online_figures import Measured, averaged, deciles, mean, ratio
from dynasor.bench.online_rows import OnlineRow
from dynasor.metrics.intervals import Estimate

RATE, MOST_RATE, SCALE, MORE = 1.6, 3.3, 4.7, 0.7
_LPM, _PARROT = BASELINES[1:3]
EVEN_DYNASOR = "without certaindex"


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal on one workload.

    Attributes:
        met: None where nothing was measured that tells.
    """

    workload: str
    text: str
    found: str
    met: bool | None
    why: str


def goals(measured: Mapping[str, Measured], load: float, caps_at: float) -> list[Goal]:
    """All of them, workload by workload.

    Args:
        measured: workloads by name.
        load: at which scales, latencies and fairness are compared.
        caps_at: the load of the runs at several caps.
    """
    return [goal for name, rows in measured.items() for goal in _of(name, rows, load, caps_at)]


def _of(name: str, rows: Measured, load: float, caps_at: float) -> Iterator[Goal]:
    for baseline in (_LPM, _PARROT):
        yield _rate(name, rows, baseline, _token_share(rows, load))
    for baseline in (_LPM, _PARROT):
        yield _scale(name, rows, baseline, load)
    yield _kept(name, rows, load)
    yield from _more_accurate(name, rows, caps_at)
    yield _fairness(name, rows, load)


def _rate(name: str, rows: Measured, baseline: str, share: float) -> Goal:
    found = ratio(rows.sustained(DYNASOR), rows.sustained(baseline))
    more = " or more" if rows.is_sustained_throughout(DYNASOR) else ""
    why = f"it takes {100 * (1 - share):.0f} % fewer tokens, which alone is {1 / share:.2f} x the programs"
    text = f"{RATE:g} to {MOST_RATE:g} x the rate of {baseline}"
    return Goal(name, text, f"{times(found)}{more}", _at_least(found, RATE), why)


def _scale(name: str, rows: Measured, baseline: str, load: float) -> Goal:
    own, other = rows.tightest(DYNASOR, load), rows.tightest(baseline, load)
    found = ratio(other, own)
    least = mean(rows.tightest(DYNASOR, rows.least_load)).value
    why = (
        f"scale {mean(own).value:.2f} against {mean(other).value:.2f} at load {load:g};"
        f" at load {rows.least_load:g} it needs {least:.2f}, for programs that take two rounds"
    )
    return Goal(name, f"up to {SCALE:g} x tighter than {baseline}", times(found), _at_least(found, SCALE), why)


def _kept(name: str, rows: Measured, load: float) -> Goal:
    own, even = rows.at(DYNASOR, load), rows.at(_LPM, load)
    points = 100 * (averaged(own, _accuracy) - averaged(even, _accuracy))
    return Goal(
        name,
        "the accuracy of even allocation, at most half a point less",
        f"{points:+.1f} points",
        points >= -0.5 if own and even else None,
        f"chosen on other problems, seed by seed: {_chosen(own)}",
    )


def _more_accurate(name: str, rows: Measured, load: float) -> Iterator[Goal]:
    own, even = rows.best(DYNASOR, load), rows.best(_LPM, load)
    if own is None or even is None:
        return
    points = 100 * (own[1] - even[1])
    why = f"the best cap with 90 % in time is {own[0]} against {even[0]}"
    text = f"{MORE:g} to 2 points more accurate than {_LPM} with 90 % in time"
    yield Goal(name, text, f"{points:+.1f} points", points >= MORE, why)


def _accuracy(row: OnlineRow) -> float:
    return row.accuracy


def _fairness(name: str, rows: Measured, load: float) -> Goal:
    own, even = deciles(rows.at(DYNASOR, load)), deciles(rows.at(_LPM, load))
    worse = [10 * (place + 1) for place, pair in enumerate(zip(own, even, strict=True)) if pair[0] > 1.02 * pair[1]]
    found = "no decile is worse" if not worse else f"worse at {', '.join(map(str, worse))} %"
    return Goal(
        name,
        f"finish-time fairness no worse than {_LPM}'s for any decile",
        found if own and even else "not measured",
        not worse if own and even else None,
        "a program that is not stopped takes two rounds" if worse else "fewer tokens are in its way",
    )


def _chosen(rows: Sequence[OnlineRow]) -> str:
    """The thresholds of these rows; `even` where none was tolerable."""
    found = [row.policy.partition("threshold=")[2].partition(",")[0] or row.policy for row in rows]
    return ", ".join(found)


def _token_share(rows: Measured, load: float) -> float:
    own, even = rows.at(DYNASOR, load), rows.at(_LPM, load)
    return fmean(row.tokens for row in own) / fmean(row.tokens for row in even) if own and even else 1.0


def _at_least(found: Estimate, bar: float) -> bool | None:
    return None if found.value != found.value else found.value >= bar


def times(found: Estimate) -> str:
    """A ratio with its interval."""
    if found.value != found.value:
        return "not measured"
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]" if found.low == found.low else f"{found.value:.2f}"
