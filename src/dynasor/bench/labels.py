"""Short names that tell runs apart. Knows settings; knows nothing of results."""

from collections import Counter
from collections.abc import Callable, Container, Sequence

from dynasor.bench.runs import Run
from dynasor.journal.records import Setting

EVEN = "even"

_BARE = ("algorithm", "model", "problems", "trace")  # values that say by themselves what they are
_SAID_ELSEWHERE = frozenset({"policy", "in_flight", "cap", "seed"})
_LONGEST_VALUE = 24

Details = Callable[[Sequence[Run]], list[str]]


def cap_of(run: Run) -> int | None:
    """The resource cap of a run; None where it is not recorded."""
    cap = run.settings.get("cap")
    return cap if isinstance(cap, int) else None


def series_names(runs: Sequence[Run]) -> list[str]:
    """A name for each run, which no other run of the same cap has.

    It is the policy, and whatever else differs: first what one compares runs by, then whether that is known at all,
    then the settings that are left, at last the directory.
    """
    unlike = _unlike(runs)
    names = [_name(run, unlike) for run in runs]
    for details in (_bare, _settings, _directories):
        names = _told_apart(runs, names, details)
    return names


def _name(run: Run, unlike: Container[str]) -> str:
    settings = run.settings
    words = [str(settings.get("policy") or run.name) + " in flight" * (settings.get("in_flight") is True)]
    words += [_plain(settings[name]) for name in _BARE if name in unlike and settings.get(name)]
    if "signal" in unlike and settings.get("policy") != EVEN:
        words.append(f"signal {settings.get('signal')}")
    return ", ".join(words)


def _differing(runs: Sequence[Run]) -> list[str]:
    names = {name: None for run in runs for name in run.settings if name not in _SAID_ELSEWHERE}
    return [name for name in names if len({run.settings.get(name) for run in runs}) > 1]


def _unlike(runs: Sequence[Run]) -> set[str]:
    """Settings of which there are several values, apart from none: a replay beside its source has no model to tell."""
    values = {(name, value) for run in runs for name, value in run.settings.items() if value is not None}
    return {name for name, count in Counter(name for name, _ in values).items() if count > 1}


def _told_apart(runs: Sequence[Run], names: Sequence[str], details: Details) -> list[str]:
    """The names, with details added to those that several runs of one cap have."""
    counts = Counter(zip(names, map(cap_of, runs), strict=True))
    told = list(names)
    for doubtful in {name for (name, _), count in counts.items() if count > 1}:
        places = [place for place, name in enumerate(names) if name == doubtful]
        for place, detail in zip(places, details([runs[place] for place in places]), strict=True):
            told[place] = f"{doubtful}{detail}"
    return told


def _bare(runs: Sequence[Run]) -> list[str]:
    differing = _differing(runs)
    names = [name for name in _BARE if name in differing]
    return ["".join(f", {_plain(run.settings[name])}" for name in names if run.settings.get(name)) for run in runs]


def _settings(runs: Sequence[Run]) -> list[str]:
    differing = _differing(runs)
    return ["".join(f", {name}={_plain(run.settings.get(name))}" for name in differing) for run in runs]


def _directories(runs: Sequence[Run]) -> list[str]:
    names = [run.name for run in runs]
    return [f" ({name if names.count(name) == 1 else run.path})" for name, run in zip(names, runs, strict=True)]


def _plain(value: Setting) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"
