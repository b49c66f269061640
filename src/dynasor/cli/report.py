"""`dynasor report`: several runs side by side, as a table, a picture and a page."""

import json
import shlex
from pathlib import Path

import click

from dynasor import __version__
from dynasor.bench.comparison import Comparison, compare
from dynasor.bench.figures import tokens_saved_svg, tokens_to_accuracy_svg, write_png
from dynasor.bench.page import Figures, Made, page
from dynasor.bench.runs import load_run
from dynasor.bench.summary import summary
from dynasor.cli.tables import print_comparison
from dynasor.clock import utc_timestamp
from dynasor.errors import MissingExtra, UsageError

OUT = Path("report")


@click.command(short_help="Compare runs.")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help=f"Where report.html, report.png and report.json go.  [default: {OUT}/, or nowhere with --json]",
)
@click.option(
    "--baseline",
    metavar="LABEL|DIR",
    help="The run that all others are compared with: its label in the table, or its directory."
    "  [default: for each run the one with policy even, and the same settings and seed]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON, and nothing else.")
@click.option("--figures/--no-figures", default=True, help="Draw the figures.", show_default=True)
def report(runs: tuple[Path, ...], out: Path | None, baseline: str | None, as_json: bool, figures: bool) -> None:
    """Compare the runs in the directories RUN..., on the problems that all of them have finished.

    Runs that differ only in their seed are averaged and make one row.

    \b
    Examples:
      dynasor report runs/even runs/certain
      dynasor report runs/svamp-*
      dynasor report runs/* --out results/svamp
      dynasor report runs/a runs/b --baseline runs/a
      dynasor report runs/* --json | jq '.rows[] | .label, .tokens_saved'

    \b
    The table:
      accuracy    the share of right answers
      saved       the share of the baseline's tokens that the run did without
      gained      accuracy less the baseline's, in percentage points
      changed     the share of answers that differ from the baseline's
    Intervals hold the true figure 95 times in 100. Without a run of policy even
    to compare with, tokens are saved against what the run itself tells even
    allocation to take: recorded (*) or estimated (†).
    """  # noqa: D301
    comparison = compare([load_run(run) for run in runs], baseline)
    if as_json:
        click.echo(_as_json(comparison))
    else:
        print_comparison(comparison)
        out = out or OUT
    if out is not None:
        made = Made(_command(runs, baseline), __version__, utc_timestamp())
        written = _write(comparison, out, made, with_figures=figures)
        click.echo(f"wrote {', '.join(map(str, written))}", err=as_json)


def _write(comparison: Comparison, out: Path, made: Made, *, with_figures: bool) -> list[Path]:
    """Write what can be written with what is installed; return what was."""
    written = [out / "report.json"]
    try:
        out.mkdir(parents=True, exist_ok=True)
        written[0].write_text(_as_json(comparison) + "\n", encoding="utf-8")
        figures = Figures()
        if with_figures:
            write_png(comparison, out / "report.png")
            written.append(out / "report.png")
            figures = Figures(tokens_to_accuracy_svg(comparison), tokens_saved_svg(comparison))
        html = page(comparison, figures, made)
        (out / "report.html").write_text(html, encoding="utf-8")
        written.append(out / "report.html")
    except MissingExtra as fault:
        click.echo(f"no picture and no page (report.png, report.html): {fault}", err=True)
    except OSError as fault:
        raise UsageError(f"cannot write to {out}: {fault.strerror or fault}; choose another --out") from fault
    return written


def _as_json(comparison: Comparison) -> str:
    """In ASCII alone, so that no stream changes what it says."""
    return json.dumps(summary(comparison), indent=2, allow_nan=False)


def _command(runs: tuple[Path, ...], baseline: str | None) -> str:
    chosen = ["--baseline", baseline] if baseline else []
    return shlex.join(["dynasor", "report", *map(str, runs), *chosen])
