"""`dynasor calibrate`: from labelled answers to a policy with a promise, its file and its page."""

import json
from pathlib import Path
from typing import Any

import click

from dynasor.bench.promise_page import Shown, promise_page
from dynasor.bench.provenance import provenance
from dynasor.calibration.calibrate import Calibration, calibrated
from dynasor.calibration.drift_expected import expected_facts
from dynasor.calibration.guarantee import Promise
from dynasor.calibration.policy_file import PolicyFile, Value, write_policy_file
from dynasor.cli.calibration_batch import labelled_batch, refuse_without_problems, with_run_options
from dynasor.cli.calibration_sources import Asked, Labelled, labelled
from dynasor.cli.calibration_tables import cautions, print_calibration, promised, summary
from dynasor.errors import MissingExtra, UsageError

_ORIGIN = ("date", "command", "commit", "dynasor")


@with_run_options
@click.command(short_help="Choose a policy that keeps a promise.")
@click.argument("source", metavar="[TRACE|RUN|svamp]", required=False)
@click.option("--cap", required=True, type=click.IntRange(min=2), help="The resource cap that the policy is for.")
@click.option("--tolerance", default=0.5, show_default=True, help="Accuracy that may be lost, in percentage points.")
@click.option("--confidence", default=0.95, show_default=True, help="How sure that is to be.")
@click.option("--algorithm", help="How programs reason.  [default: that of the run; else sc]")
@click.option("--in-flight", is_flag=True, help="Choose for runs with --in-flight; only for sc.")
@click.option("--orders", default=10, show_default=True, type=click.IntRange(min=1), help="Orders of the samples.")
@click.option("--seed", default=0, show_default=True, help="Divides the problems into those to fit and those to test.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("policy.toml"), show_default=True)
@click.option("--page", type=click.Path(path_type=Path), help="A page that shows the promise.  [default: beside --out]")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON, and nothing else.")
@click.option("--problems", metavar="FILE|words", help="Run a labelled batch first: with --model or --endpoint.")
@click.option(
    "--run", "run_directory", type=click.Path(path_type=Path), help="Where that batch goes; else named after it."
)
@click.pass_context
def calibrate(ctx: click.Context, /, out: Path, as_json: bool, page: Path | None, **given: Any) -> None:
    """Choose the policy that saves most and loses at most the tolerance against even allocation, on labelled answers.

    SOURCE is a recording, or a run of policy even, whose problems have right answers. A quarter of them is used to fit
    policies, the others to test them. The policy is written to a file for dynasor run --policy, and beside it a page
    that shows what was promised, and on what grounds.

    With --problems in place of SOURCE the batch is run first; the options of dynasor run say who answers, and how. The
    same command goes on with a batch that was interrupted.

    \b
    Examples:
      dynasor calibrate svamp --cap 20 --tolerance 1
      dynasor calibrate runs/even --cap 20 --out gsm8k.toml
      dynasor calibrate --problems words --model builtin --cap 20 --limit 200
    """  # noqa: D301
    promise = Promise(given["tolerance"] / 100, given["confidence"])
    source = _source(ctx, given, quiet=as_json)
    made = labelled(source, Asked(given["cap"], given["orders"], given["algorithm"], given["in_flight"]))
    found = calibrated(made.profiles, promise, seed=given["seed"], by_majority=made.by_majority)
    facts = _facts_of(made, found, given["seed"])
    notes = cautions(found, made.left_out, given["cap"])
    told = promised(found) | expected_facts(found, made.profiles, given["seed"])
    write_policy_file(PolicyFile(policy=found.chosen.candidate.text, promise=told, provenance=facts), out)
    shown = page or out.with_suffix(".html")
    missing = _write_page(Shown(found, facts, notes, out.name), shown, wanted=page is not None)
    if as_json:
        click.echo(json.dumps(summary(found, facts, notes) | {"promise": told}, indent=2, allow_nan=False))
    else:
        print_calibration(found, [*notes, *missing], [out] if missing else [out, shown])


def _source(ctx: click.Context, given: dict[str, Any], *, quiet: bool) -> str:
    """The recording or the run; a batch is run first where one is asked for."""
    if given["problems"] is not None and given["source"] is not None:
        raise UsageError(f"both {given['source']} and --problems are to be calibrated on; give one of them")
    if given["problems"] is not None:
        return str(labelled_batch(given, quiet=quiet))
    if given["source"] is None:
        raise UsageError("nothing to calibrate on: name a recording or a run, or --problems with --model or --endpoint")
    refuse_without_problems(ctx)
    return str(given["source"])


def _facts_of(made: Labelled, found: Calibration, seed: int) -> dict[str, Value]:
    return made.facts | {
        "seed": seed,
        "fitted_problems": found.fitted_count,
        "tested_problems": found.tested_count,
        **{name: str(value) for name, value in provenance().items() if name in _ORIGIN},
    }


def _write_page(shown: Shown, path: Path, *, wanted: bool) -> list[str]:
    """Write the page; what is missing for it is told, or an error where the page was asked for."""
    try:
        html = promise_page(shown)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(html, encoding="utf-8")
    except MissingExtra as fault:
        if wanted:
            raise
        return [f"no page is written: {fault}"]
    except OSError as fault:
        raise UsageError(f"cannot write {path}: {fault.strerror or fault}; choose another --page") from fault
    return []
