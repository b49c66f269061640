"""Runs as the rows of a comparison: those that differ only in their seed are one row.

It knows settings; it knows nothing of results.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dynasor.bench.labels import EVEN, cap_of, series_names
from dynasor.bench.runs import Run
from dynasor.errors import UsageError
from dynasor.journal.records import Setting

_OF_NO_MATTER_TO_EVEN = frozenset({"policy", "in_flight", "signal", "seed"})  # they change none of its answers
_OF_THE_SOURCE = frozenset({"offset", "trace", "digest"})  # where a replay's answers come from; its source has another
_LISTED = 6


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Runs that differ only in their seed.

    Attributes:
        series: what they have in common with their like at other caps.
        label: what tells them from every other group of the comparison.
    """

    runs: tuple[Run, ...]
    series: str
    label: str

    @property
    def is_even(self) -> bool:
        """Whether everybody got the cap."""
        return self.runs[0].settings.get("policy") == EVEN

    @property
    def cap(self) -> int | None:
        """The resource cap; None where it is not recorded."""
        return cap_of(self.runs[0])

    @property
    def settings(self) -> dict[str, Setting]:
        """What all of its runs were asked for, but the seed."""
        return {name: value for name, value in self.runs[0].settings.items() if name != "seed"}

    @property
    def seeds(self) -> list[Setting]:
        """The seeds of the runs, in their order."""
        return [run.seed for run in self.runs]


def grouped(runs: Iterable[Run]) -> list[Group]:
    """The groups: even allocation first, then in the order of the runs; within a series by cap.

    A directory that is named twice counts once. A run that repeats another's seed under the same settings is a group
    of its own: it differs in something that the settings do not tell.
    """
    members = _by_settings({run.path.resolve(): run for run in runs}.values())
    series = series_names([group[0] for group in members])
    caps = {cap_of(group[0]) for group in members}
    groups = [
        Group(group, name, name + _suffix(group, show_cap=len(caps) > 1))
        for group, name in zip(members, series, strict=True)
    ]
    return sorted(groups, key=lambda group: (not group.is_even, series.index(group.series), group.cap or 0))


def even_counterpart(group: Group, groups: Iterable[Group]) -> Group | None:
    """The group of even allocation under the same settings and seeds, or else the even run that this is a replay of."""
    if group.is_even:
        return group
    groups = list(groups)
    wanted = _settings_but(group.runs[0], _OF_NO_MATTER_TO_EVEN)
    for other in groups:
        same = other.is_even and _settings_but(other.runs[0], _OF_NO_MATTER_TO_EVEN) == wanted
        if same and set(group.seeds) <= set(other.seeds):
            return other
    return _replayed(group.runs[0], groups)


def find_group(name: str, groups: Sequence[Group]) -> Group:
    """The group of this label, or the one that holds the run of this directory.

    Raises:
        UsageError: if there is none, or more than one.
    """
    directory = Path(name).resolve()
    found = [
        group
        for group in groups
        if name in (group.label, group.label.partition(" × ")[0])
        or any(name == run.name or run.path.resolve() == directory for run in group.runs)
    ]
    if len(found) != 1:
        fault = f"'{name}' is the name of {len(found)} runs" if found else f"no run here is called '{name}'"
        labels = listed([f"'{group.label}'" for group in found or groups])
        raise UsageError(f"{fault}; name one by its directory, or by its label: {labels}")
    return found[0]


def pairs(group: Group, baseline: Group) -> list[tuple[Run, Run]]:
    """Each run with the one of the same seed in the baseline, or with any of it where the seeds differ."""
    by_seed = {run.seed: run for run in baseline.runs}
    others = baseline.runs
    return [(run, by_seed.get(run.seed, others[place % len(others)])) for place, run in enumerate(group.runs)]


def listed(names: Sequence[str]) -> str:
    """Names for a one-line message: a few, and how many more there are."""
    rest = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {rest} more" if rest > 0 else "")


def _replayed(replay: Run, groups: Iterable[Group]) -> Group | None:
    """The even run whose journal this run replays, by itself under the label of its group; None where it is not there.

    Both must have been asked for the same, cap included, as far as both tell. Their seeds need not be equal: the
    branches are the same.
    """
    if not replay.is_replay:
        return None
    for group in groups:
        if group.is_even and _agree(replay, group.runs[0]):
            for run in group.runs:
                if run.journal_digest == replay.settings.get("digest"):
                    return replace(group, runs=(run,))
    return None


def _agree(replay: Run, source: Run) -> bool:
    both = replay.settings.keys() & source.settings.keys()
    telling = both - _OF_NO_MATTER_TO_EVEN - _OF_THE_SOURCE
    return cap_of(replay) == cap_of(source) and all(replay.settings[name] == source.settings[name] for name in telling)


def _by_settings(runs: Iterable[Run]) -> list[tuple[Run, ...]]:
    members: list[list[Run]] = []
    alike: dict[frozenset[tuple[str, Setting]], list[list[Run]]] = defaultdict(list)
    for run in runs:
        homes = alike[_settings_but(run, frozenset({"seed"}))]
        home = next((home for home in homes if run.seed not in [None, *(other.seed for other in home)]), None)
        if home is None:
            home = []
            homes.append(home)
            members.append(home)
        home.append(run)
    return [tuple(home) for home in members]


def _settings_but(run: Run, names: frozenset[str]) -> frozenset[tuple[str, Setting]]:
    return frozenset((name, value) for name, value in run.settings.items() if name not in names)


def _suffix(runs: Sequence[Run], *, show_cap: bool) -> str:
    cap = cap_of(runs[0])
    cap_text = f", cap {cap}" if show_cap and cap is not None else ""
    return cap_text + (f" × {len(runs)} seeds" if len(runs) > 1 else "")
