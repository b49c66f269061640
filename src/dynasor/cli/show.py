"""`dynasor show`: the problems of a run, or one of its programs: its tree, its branches or its probes."""

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path

import click
from rich.console import Console, RenderableType

from dynasor.cli.show_page import write_page
from dynasor.cli.show_program import program_json, program_view
from dynasor.cli.show_run import chosen, run_json, run_view
from dynasor.errors import UsageError
from dynasor.launch.past import past_program, past_run
from dynasor.launch.reopen import reopened

Shown = tuple[list[RenderableType], dict[str, object]]


@click.command(short_help="Look into a run: its problems, or how one of them was answered.")
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
@click.option("--problem", metavar="ID", help="Show how this problem was answered.")
@click.option("--wrong", is_flag=True, help="List only problems that were answered wrongly.")
@click.option("--limit", type=click.IntRange(min=1), help="List only so many problems.")
@click.option("--texts", is_flag=True, help="With --problem: everything that the model wrote, whole.")
@click.option("--html", type=click.Path(path_type=Path), metavar="FILE", help="Write it as a page, too.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON, and nothing else.")
def show(
    run: Path,
    problem: str | None,
    wrong: bool,
    limit: int | None,
    texts: bool,
    html: Path | None,
    as_json: bool,
) -> None:
    """List the problems of the run in the directory RUN, or show how one of them was answered.

    \b
    Examples:
      dynasor show runs/certain
      dynasor show runs/certain --wrong --limit 20
      dynasor show runs/certain --problem svamp-12
      dynasor show runs/search --problem 7 --texts
      dynasor show runs/search --problem 7 --html tree.html
      dynasor show runs/search --problem 7 --json | jq '.steps[] | select(.best)'

    \b
    What one sees of a problem:
      a search (rebase, mcts)       its tree: a step in each line. An only child
                                    stands below its parent, not indented
      probed chains of thought      the chains, and what each probe told
      anything else                 its branches, in the order of their ends
    Requests are numbered from 1. certaindex is what it came to once a branch or
    a probe had landed. Nothing is asked of a model: the program is played again
    from the run's journal.
    """  # noqa: D301
    if problem is not None and (wrong or limit is not None):
        raise UsageError("--wrong and --limit choose among problems, and --problem names one; leave out either")
    if problem is None and texts:
        raise UsageError("--texts shows what was written for one problem; name it with --problem")
    parts, machine = _run(run, limit, wrong=wrong) if problem is None else _program(run, problem, texts=texts)
    if as_json:
        click.echo(json.dumps(machine, indent=2))
    else:
        _print(parts)
    if html is not None:
        write_page(html, f"{run}: {problem}" if problem else str(run), parts)
        click.echo(f"wrote {html}", err=as_json)


def _run(directory: Path, limit: int | None, *, wrong: bool) -> Shown:
    run = past_run(directory)
    finished, unfinished = chosen(run, limit, wrong=wrong)
    return list(run_view(directory, run, finished, unfinished)), run_json(directory, run, finished, unfinished)


def _program(directory: Path, problem: str, *, texts: bool) -> Shown:
    played = asyncio.run(reopened(past_program(directory, problem)))
    return list(program_view(played, texts=texts)), {"run": str(directory), **program_json(played)}


def _print(parts: Iterable[RenderableType]) -> None:
    console = Console(highlight=False, markup=False)
    for part in parts:
        console.print(part)
