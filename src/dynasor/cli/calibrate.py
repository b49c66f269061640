"""`dynasor calibrate`: from a labelled recording to a policy with a promise, and its file."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from dynasor.answers.grouping import ByNormalForm, ByText, Grouping
from dynasor.bench.provenance import provenance
from dynasor.bench.runs import load_run
from dynasor.calibration.calibrate import Calibration, calibrated
from dynasor.calibration.guarantee import Promise
from dynasor.calibration.policy_file import PolicyFile, Value, write_policy_file
from dynasor.calibration.profile import ProblemProfile, profiled
from dynasor.cli.calibration_tables import cautions, print_calibration, promised, summary
from dynasor.datasets.recordings import read_recordings
from dynasor.errors import UsageError
from dynasor.programs.program import Setup
from dynasor.wiring import make_algorithm

_ORIGIN = ("date", "command", "commit", "dynasor")


@dataclass(frozen=True, slots=True)
class _Labelled:
    """What a calibration is made from; `facts` tell where it comes from."""

    profiles: list[ProblemProfile]
    left_out: int
    facts: dict[str, Value]


@click.command(short_help="Choose a policy that keeps a promise.")
@click.argument("source", metavar="TRACE|RUN|svamp")
@click.option("--cap", required=True, type=click.IntRange(min=2), help="The resource cap that the policy is for.")
@click.option("--tolerance", default=0.5, show_default=True, help="Accuracy that may be lost, in percentage points.")
@click.option("--confidence", default=0.95, show_default=True, help="How sure that is to be.")
@click.option("--algorithm", default="sc", show_default=True, help="One that answers by majority.")
@click.option("--orders", default=10, show_default=True, type=click.IntRange(min=1), help="Orders of the samples.")
@click.option("--seed", default=0, show_default=True, help="Divides the problems into those to fit and those to test.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("policy.toml"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON, and nothing else.")
def calibrate(out: Path, as_json: bool, **given: Any) -> None:
    """Choose the policy that saves most and loses at most the tolerance against even allocation, on labelled answers.

    SOURCE is a recording, or a run of policy even, whose problems have right answers. A quarter of them is used to fit
    policies, the others to test them. The policy is written to a file for dynasor run --policy.

    \b
    Examples:
      dynasor calibrate svamp --cap 20 --tolerance 1
      dynasor calibrate runs/even --cap 20 --out gsm8k.toml
    """  # noqa: D301
    promise = Promise(given["tolerance"] / 100, given["confidence"])
    labelled = _labelled(given["source"], given["algorithm"], given["cap"], given["orders"])
    found = calibrated(labelled.profiles, promise, seed=given["seed"])
    facts = labelled.facts | _facts_of(found, given)
    notes = cautions(found, labelled.left_out, given["cap"])
    write_policy_file(PolicyFile(policy=found.chosen.candidate.text, promise=promised(found), provenance=facts), out)
    if as_json:
        click.echo(json.dumps(summary(found, facts, notes), indent=2, allow_nan=False))
    else:
        print_calibration(found, notes, out)


def _labelled(source: str, algorithm: str, cap: int, orders: int) -> _Labelled:
    made = make_algorithm(algorithm)
    recordings = read_recordings(source)
    settings: dict[str, Any] = load_run(Path(source)).settings if Path(source).is_dir() else {"trace": source}
    _check(source, settings, algorithm)
    everything = list(recordings)
    profiles = profiled(everything, made, Setup(cap=cap, grouping=_grouping(settings)), orders=orders)
    facts: dict[str, Value] = {
        "recording": recordings.name,
        "digest": recordings.digest(),
        "model": str(settings.get("model") or "as recorded"),
    }
    return _Labelled(profiles, len(everything) - len(profiles), facts)


def _check(source: str, settings: dict[str, Any], algorithm: str) -> None:
    for name, known in (("algorithm", (algorithm,)), ("grouping", ("auto", "text", "normal-form"))):
        value = settings.get(name, known[0])
        if value not in known:
            raise UsageError(f"{source} is a run of {name} {value}; one of {' or '.join(known)} can be calibrated on")


def _grouping(settings: dict[str, Any]) -> Callable[[], Grouping]:
    """As in the run itself: a recording's spellings were merged when it was made."""
    grouping = settings.get("grouping", "auto")
    return ByText if grouping == "text" or (grouping == "auto" and settings.get("trace")) else ByNormalForm


def _facts_of(found: Calibration, given: dict[str, Any]) -> dict[str, Value]:
    return {
        **{name: given[name] for name in ("algorithm", "cap", "orders", "seed")},
        "signal": "entropy",
        "fitted_problems": found.fitted_count,
        "tested_problems": found.tested_count,
        **{name: str(value) for name, value in provenance().items() if name in _ORIGIN},
    }
