"""`dynasor ask`: one question, its branches and its vote."""

import asyncio
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
from rich.console import Console

from dynasor.cli.live_answer import Asked, branch_line, branch_text, closing, heading
from dynasor.cli.live_stop import INTERRUPTED, run_together
from dynasor.engines.endpoint import Endpoint
from dynasor.errors import EngineError, UsageError
from dynasor.journal.records import ProgramFinished, Record
from dynasor.launch.launch import Launch, prepare
from dynasor.launch.options import RunOptions

BUILTIN = "builtin"
NO_ANSWER = 1


@click.command(short_help="Answer one question, and show how the vote goes.")
@click.argument("question")
@click.option(
    "--model",
    metavar="builtin|FILE.gguf|NAME",
    help="Answer in this process, with the small model that is shipped or a GGUF file. With --endpoint: the name of the"
    " model to ask for; may be left out where the server has just one.  [default: builtin]",
)
@click.option("--endpoint", metavar="URL", help="An OpenAI-compatible server, such as http://localhost:8000/v1.")
@click.option("--cap", default=20, show_default=True, help="The most branches.")
@click.option("--policy", help="How many branches it gets, as for dynasor run.")
@click.option("--seed", default=0, show_default=True)
@click.option("--show", type=click.IntRange(min=0), help="Show the first so many branches only.  [default: all]")
@click.option("--verbose", is_flag=True, help="Show what every branch wrote.")
@click.option("--out", type=click.Path(path_type=Path), help="Keep the run there; else nothing is written.")
@click.option("--json", "as_json", is_flag=True, help="Print the branches and the answer as JSON, and nothing else.")
def ask(question: str, show: int | None, verbose: bool, as_json: bool, **given: Any) -> None:
    """Answer one QUESTION with as many branches as its certaindex asks for, and show each as it lands.

    Ends with 0 where there is an answer, 1 where there is none, 2 where something cannot be.

    \b
    Examples:
      dynasor ask "Ben has 12 apples. Then Ben gets 7 more apples. How many apples does Ben have now?"
      dynasor ask "What is 17 * 23?" --endpoint http://localhost:8000/v1 --cap 40
      dynasor ask "..." --policy even --cap 10 --verbose
      dynasor ask "..." --json | jq '.answer, .votes'

    \b
    What one sees of a branch:
      answer       what was read from its text; – where nothing was
      certaindex   how far the answers agree once it has landed, from 0 to 1
    """  # noqa: D301
    _refuse(question)
    if _built_in(given):
        click.echo("dynasor: the built-in model knows only word problems such as those of the set words", err=True)
    asked, console = Asked(), Console(highlight=False, markup=False, quiet=as_json)
    finished = _answered(question, given, asked, _Teller(asked, console, show, verbose=verbose))
    if as_json:
        click.echo(json.dumps(_as_json(asked, finished, given["cap"]), indent=2))
    console.print(closing(asked, finished, given["cap"]))
    if finished.answer is None:
        raise SystemExit(NO_ANSWER)


class _Teller:
    """Prints every branch as it lands."""

    def __init__(self, asked: Asked, console: Console, show: int | None, *, verbose: bool) -> None:
        self._asked, self._console, self._show, self._verbose = asked, console, show, verbose

    def __call__(self, record: Record) -> None:
        branch = self._asked.take(record)
        place = len(self._asked.told)
        if branch is None or (self._show is not None and place > self._show):
            return
        if place == 1:
            self._console.print(heading())
        self._console.print(branch_line(branch))
        if self._verbose or branch.fault:
            self._console.print(branch_text(branch))


def _answered(question: str, given: dict[str, Any], asked: Asked, tell: _Teller) -> ProgramFinished:
    """Run it as a batch of one problem."""
    with TemporaryDirectory(prefix="dynasor-ask-") as scratch:
        problems = Path(scratch) / "question.jsonl"
        problems.write_text(json.dumps({"id": "question", "question": question}) + "\n", encoding="utf-8")
        launch = asyncio.run(_run(_options(problems, given), tell))
    if asked.finished is None:
        if launch.batch.interrupted or not launch.batch.stalled:
            raise SystemExit(INTERRUPTED)
        raise EngineError(f"no answer: {next(iter(launch.batch.stalled.values()))}", retryable=True)
    return asked.finished


async def _run(options: RunOptions, tell: _Teller) -> Launch:
    launch = await prepare(options)
    launch.batch.witness = tell
    await run_together([launch], lambda text: click.echo(f"dynasor: {text}", err=True))
    return launch


def _options(problems: Path, given: dict[str, Any]) -> RunOptions:
    source: dict[str, Any] = {"model": given["model"] or BUILTIN, "seeded_requests": True}
    if given["endpoint"]:
        source = {"endpoint": Endpoint(given["endpoint"], given["model"])}
    out = given["out"] or problems.with_name("run")
    shared = {name: given[name] for name in ("cap", "policy", "seed")}
    return RunOptions(problems=str(problems), out=out, **source, **shared)


def _refuse(question: str) -> None:
    if not question.strip():
        raise UsageError("the question is empty; write one, in quotes")
    if not question.isprintable() and "\udc80" <= max(question) <= "\udcff":
        raise UsageError("the question is not UTF-8 text")


def _built_in(given: dict[str, Any]) -> bool:
    return not given["endpoint"] and given["model"] in (None, BUILTIN)


def _as_json(asked: Asked, finished: ProgramFinished, cap: int) -> dict[str, object]:
    return {
        "question": finished.question,
        "answer": finished.answer,
        "certaindex": round(finished.certaindex, 6),
        "stopped_by": finished.stopped_by,
        "branches_drawn": finished.knob,
        "cap": cap,
        "tokens": finished.tokens,
        "tokens_at_the_cap": round(finished.even_tokens),
        "votes": dict(asked.branches.leaders),
        "without_answer": asked.branches.unanswered,
        "branches": [
            {
                "number": branch.number,
                "answer": branch.answer,
                "tokens": branch.tokens,
                "ended": str(branch.finish),
                "certaindex": round(branch.certaindex, 6),
                "text": branch.text,
            }
            for branch in asked.told
        ],
    }
