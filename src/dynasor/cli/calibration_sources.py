"""What `dynasor calibrate` is given as profiles: a recording, or a run of policy even of any algorithm."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from dynasor.answers.grouping import ByNormalForm, ByText, Grouping
from dynasor.bench.runs import load_run
from dynasor.calibration.policy_file import Value
from dynasor.calibration.profile import ProblemProfile, profiled
from dynasor.calibration.stepwise import Untold, came_to, stepwise
from dynasor.datasets.problem import Problem
from dynasor.datasets.recordings import read_recordings
from dynasor.datasets.run_recordings import RunRecordings
from dynasor.errors import UsageError
from dynasor.journal.records import ProgramFinished
from dynasor.launch.past import PastProgram, past_programs
from dynasor.launch.remade import RunSettings, briefly, remade_algorithm, remade_program, run_settings
from dynasor.programs.program import Program, Setup
from dynasor.programs.rebase import Rebase
from dynasor.wiring import answers_by_majority, make_algorithm

_GROUPINGS: Mapping[str, Callable[[], Grouping]] = {"text": ByText, "normal-form": ByNormalForm, "auto": ByNormalForm}


@dataclass(frozen=True, slots=True)
class Labelled:
    """What a calibration is made from.

    Attributes:
        by_majority: whether the programs answer by majority.
        left_out: problems that have too few samples, or are unfinished.
        facts: where it comes from.
    """

    profiles: list[ProblemProfile]
    by_majority: bool
    left_out: int
    facts: dict[str, Value]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a source; `algorithm` is None for that of the run, else self-consistency."""

    cap: int
    orders: int
    algorithm: str | None = None
    in_flight: bool = False


def labelled(source: str, asked: Asked) -> Labelled:
    """Read a recording or a run.

    Raises:
        UsageError: where it cannot be read, has no right answers, or does not tell what would be answered with less.
    """
    settings: dict[str, Any] = load_run(Path(source)).settings if Path(source).is_dir() else {"trace": source}
    _check(source, settings, asked)
    name = str(settings.get("algorithm") or asked.algorithm or "sc")
    algorithm = remade_algorithm(name) if "algorithm" in settings else make_algorithm(name)
    if Path(source).is_dir() and not (answers_by_majority(algorithm) and algorithm.replays):
        return _by_journal(Path(source), settings, algorithm, asked)
    return _by_recording(source, settings, algorithm, asked)


def _by_recording(source: str, settings: Mapping[str, Any], algorithm: type[Program], asked: Asked) -> Labelled:
    recordings = read_recordings(source)
    everything = list(recordings)
    setup = Setup(cap=asked.cap, grouping=_grouping(settings))
    profiles = profiled(everything, algorithm, setup, orders=asked.orders, in_flight=asked.in_flight)
    facts = {**_facts(recordings.name, recordings.digest(), settings, asked), "orders": asked.orders}
    return Labelled(profiles, True, len(everything) - len(profiles), facts)


def _by_journal(directory: Path, settings: Mapping[str, Any], algorithm: type[Program], asked: Asked) -> Labelled:
    if asked.in_flight:
        raise UsageError(f"only sc can be calibrated for runs in flight, and {directory} is of {settings['algorithm']}")
    if issubclass(algorithm, Rebase):
        raise UsageError(_rebase(directory))
    made = run_settings(settings)
    if asked.cap > made.cap:
        raise UsageError(f"the cap is {asked.cap}, and {directory} is a run of cap {made.cap}; lower --cap")
    recording = RunRecordings(directory)
    next(iter(recording))  # it refuses what is no run of even allocation
    programs = past_programs(directory)
    finished = {id: past for id, past in programs.items() if past.finished is not None}
    profiles = [_profile(directory, past, made, asked.cap) for past in finished.values()]
    facts = {**_facts(recording.name, recording.digest(), settings, asked), "signal": made.signal}
    return Labelled(profiles, answers_by_majority(algorithm), len(programs) - len(finished), facts)


def _profile(directory: Path, past: PastProgram, settings: RunSettings, cap: int) -> ProblemProfile:
    finished = past.finished
    assert finished is not None  # noqa: S101  (for the type checker)
    problem = Problem(past.id, finished.question, finished.gold, finished.verdicts)
    grouping = _GROUPINGS[settings.grouping]
    try:
        _check_end(partial(remade_program, settings, problem, grouping), past, finished)
        shorter = msgspec.structs.replace(settings, cap=cap)
        return ProblemProfile(past.id, (stepwise(partial(remade_program, shorter, problem, grouping), past.happened),))
    except Untold as fault:
        raise UsageError(
            f"{directory} cannot be calibrated on: {fault}; calibrate sc or mcts, or compare runs of several --cap with"
            " dynasor report"
        ) from fault


def _check_end(make: Callable[[], Program], past: PastProgram, finished: ProgramFinished) -> None:
    """Granted one turn at a time, it must come to what it came to when it was granted all at once."""
    if came_to(make, past.happened) != (finished.answer, finished.tokens):
        raise Untold(f"what '{past.id}' comes to depends on how much is granted at a time")


def _rebase(directory: Path) -> str:
    return (
        f"{directory} is a run of rebase, whose width decides what is asked for from the second step on: it does not"
        " tell what a narrower search would have answered; run each width under --policy even (--cap 4, --cap 8, ...)"
        " and compare them with dynasor report, or calibrate sc or mcts"
    )


def _check(source: str, settings: Mapping[str, Any], asked: Asked) -> None:
    algorithm = settings.get("algorithm")
    if asked.algorithm is not None and algorithm not in (None, asked.algorithm):
        told = briefly(str(algorithm))
        if asked.algorithm not in (told, told.partition(":")[0]):
            raise UsageError(f"{source} is a run of algorithm {told}; leave out --algorithm {asked.algorithm}")
    grouping = settings.get("grouping", "auto")
    if grouping not in _GROUPINGS:
        known = " or ".join(("auto", "text", "normal-form"))
        raise UsageError(f"{source} is a run of grouping {grouping}; one of {known} can be calibrated on")


def _grouping(settings: Mapping[str, Any]) -> Callable[[], Grouping]:
    """As in the run itself: a recording's spellings were merged when it was made."""
    grouping = str(settings.get("grouping", "auto"))
    return ByText if grouping == "auto" and settings.get("trace") else _GROUPINGS[grouping]


def _facts(name: str, digest: str, settings: Mapping[str, Any], asked: Asked) -> dict[str, Value]:
    return {
        "recording": name,
        "digest": digest,
        "model": str(settings.get("model") or "as recorded"),
        "algorithm": briefly(str(settings.get("algorithm") or asked.algorithm or "sc")),
        "cap": asked.cap,
        "in_flight": asked.in_flight,
        "signal": "entropy",
    }
