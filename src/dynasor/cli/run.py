"""`dynasor run`: one batch, live or replayed."""

import asyncio
import signal
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from dynasor.cli.checks import refuse_live_options
from dynasor.cli.concurrency import concurrency
from dynasor.cli.live import Display
from dynasor.cli.tables import print_run
from dynasor.datasets.columns import Columns
from dynasor.engines.embedded_model import EmbeddedModel
from dynasor.engines.endpoint import PRIORITIES, Endpoint
from dynasor.errors import UsageError
from dynasor.launch.launch import Launch, prepare
from dynasor.launch.options import AUTO, DEFAULT_ORDERING, GROUPINGS, RunOptions
from dynasor.launch.replicas import several
from dynasor.programs.prompt import STEP_BY_STEP
from dynasor.request import Sampling

MOST_CONNECTIONS = 1024  # to a server that the number of requests is not bounded for beforehand
INTERRUPTED = 130  # what shells expect of a program that Ctrl-C ended
UNFINISHED = 1


@click.command(short_help="Answer a set of problems.")
@click.argument("problems", required=False)
@click.option("--trace", metavar="FILE|RUN|svamp", help="Replay a recording: samples, a run, or the shipped one.")
@click.option(
    "--endpoint",
    metavar="URL",
    multiple=True,
    help="An OpenAI-compatible server, such as http://localhost:8000/v1. Give several of one model, one option each or"
    " joined by commas, and what one loses another is asked for.",
)
@click.option(
    "--model",
    metavar="FILE.gguf|builtin|NAME",
    help="Answer in this process, with a GGUF file or the small model that is shipped. With --endpoint: the name of the"
    " model to ask for; may be left out where the server has just one.",
)
@click.option("--context", type=click.IntRange(min=1), help="With a GGUF file: tokens of prompt and answer together.")
@click.option("--threads", type=click.IntRange(min=1), help="With a GGUF file: threads that compute.  [default: 1]")
@click.option(
    "--api",
    type=click.Choice(["auto", "chat", "completions"]),
    help="How prompts are put.  [default: chat; auto with a GGUF file, by whether it has a chat template]",
)
@click.option("--stream/--no-stream", default=True, help="Streaming tells what a cut branch cost.", show_default=True)
@click.option("--api-key-variable", default="OPENAI_API_KEY", show_default=True, help="Where the API key is read from.")
@click.option(
    "--concurrency",
    callback=concurrency,
    default="64",
    metavar="N|auto",
    show_default=True,
    help="Requests at the server at a time; auto: as many as keep it just full.",
)
@click.option(
    "--ordering", default=DEFAULT_ORDERING, show_default=True, help="Which waiting request is next; see below."
)
@click.option(
    "--deadline", "deadline_s", type=float, metavar="S", help="Seconds for an answer; what would be late gets less."
)
@click.option(
    "--outage",
    "outage_s",
    type=float,
    default=0.0,
    show_default=True,
    metavar="S",
    help="Seconds to keep asking a server that is gone, before problems are left for the next start.",
)
@click.option(
    "--priority",
    type=click.Choice(PRIORITIES),
    default="none",
    show_default=True,
    help="Let the server order: send each request with what its program needs yet, as its own field `priority`.",
)
@click.option("--algorithm", default="sc", show_default=True, help="How it reasons; see below. Or a plug-in's name.")
@click.option("--program", metavar="FILE.py:CLASS", help="Run an algorithm of your own, in place of --algorithm.")
@click.option("--policy", help="How much each program gets; see below.")
@click.option("--in-flight", is_flag=True, help="Start all branches at once, and cut those that are not needed.")
@click.option(
    "--shadow", type=float, metavar="SHARE", help="Run so many problems, such as 0.05, to the cap; see below."
)
@click.option("--token-budget", type=int, help="Generated tokens for all problems together, in place of --policy.")
@click.option("--cap", default=20, show_default=True, help="The resource cap: the most branches of one program.")
@click.option("--signal", "signal_name", default="entropy", show_default=True, help="How certaindex is read.")
@click.option("--extract", default="auto", show_default=True, help="How an answer is read from a text.")
@click.option("--grouping", type=click.Choice(GROUPINGS), default="auto", show_default=True)
@click.option("--scorer", default="reward", show_default=True, help="reward, logprob, tail, lowest or brevity.")
@click.option("--reward", metavar="builtin|FILE.gguf|URL", help="A reward model; options follow: URL,api=pooling,...")
@click.option("--embedding", default="builtin", show_default=True, help="For semantic groups: builtin, or a server.")
@click.option("--similarity", default=0.85, show_default=True, help="For semantic groups: the cosine of one group.")
@click.option("--thinking", is_flag=True, help="Ask the model's chat template for thinking.")
@click.option("--judge-code", is_flag=True, help="Run the tests of code problems on the answers, in a sandbox.")
@click.option("--temperature", default=0.7, show_default=True)
@click.option("--top-p", default=1.0, show_default=True)
@click.option("--max-tokens", default=1024, show_default=True, help="The most tokens of one branch.")
@click.option("--stop", multiple=True, help="A string that ends a branch; may be given several times.")
@click.option("--logprobs", is_flag=True, help="Ask for log-probabilities.")
@click.option("--prompt-file", type=click.Path(path_type=Path), help="A template with the field {question}.")
@click.option("--system", default="", help="The system's turn.")
@click.option("--seed", default=0, show_default=True)
@click.option("--seed-requests", is_flag=True, help="Send a seed with every request. Some engines fail on it.")
@click.option("--format", "format_name", default="auto", show_default=True, help="gsm8k, math, asdiv, ...")
@click.option("--question-column", help="The column that holds the question.")
@click.option("--answer-column", help="The column that holds the right answer.")
@click.option("--id-column", help="The column that holds the id.")
@click.option("--limit", type=click.IntRange(min=1), help="Take only so many problems.")
@click.option("--offset", type=click.IntRange(min=0), default=0, help="Pass over so many problems first.")
@click.option("--out", type=click.Path(path_type=Path), help="The run's directory; else named after its settings.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON, and nothing else.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def run(**given: Any) -> None:
    """Answer PROBLEMS (JSONL, CSV, Parquet, hf:OWNER/NAME:SPLIT, or the built-in set words) with reasoning programs.

    The same command run again goes on where it was left: no finished branch is paid for twice.

    \b
    Examples:
      dynasor run --trace svamp --cap 30
      dynasor run gsm8k.jsonl --endpoint http://localhost:8000/v1
      dynasor run gsm8k.jsonl --endpoint http://localhost:8000/v1 --in-flight
      dynasor run gsm8k.jsonl --model Qwen3-4B-Q4_K_M.gguf --threads 4
      dynasor run words --model builtin
      dynasor run q.csv --question-column text --answer-column label --endpoint ...
      dynasor run --trace runs/even --policy beta    (replay a run's branches)
      dynasor run --trace svamp --program my_file.py:MyProgram
      dynasor run words --model builtin --algorithm rebase --reward builtin
      dynasor run words --model builtin --algorithm mcts --scorer logprob --logprobs
      dynasor run words --model builtin --thinking --algorithm probed-cot

    \b
    Algorithms, and what --cap bounds. Settings follow a colon.
      sc                              majority vote           branches
      weighted-sc, best-of-n          by --scorer             branches
      deepconf:kept_percent=90        weak branches are cut   branches
      rebase:temperature=0.2          reward-balanced search  width
      mcts:expand=3,selection=puct    tree search             iterations
      probed-cot:effort=mid           one chain, probed       rounds
      probed-sc:chains=5,interval=32  chains, probed together rounds

    \b
    Signals: entropy (of the answers), length, logprob, reward-mean, reward-max.

    \b
    Orderings (join with +; each wraps what follows):
      fcfs                   as requests come
      app-fifo, deepest      Parrot's: by program; the later steps first
      prefix                 SGLang's: the longest cached prefix
      gang+sjf               begun programs first, then the shortest
      aging:patience=8+...   who has been here too long goes first
      dynasor                aging:patience=8+sjf
      attained               least attained service
      edf, slack:tokens_per_s=500    by --deadline

    \b
    Policies (join several with +; the first to stop stops). The default is
    decided+static:threshold=0.7,detect_at=5 where the algorithm answers by
    majority, and static:threshold=0.7,detect_at=5 where it does not.
      even                                 everybody gets the cap
      static:threshold=0.7,detect_at=5     judge certaindex once, as in the paper
      stepped:threshold=0.7,detect_at=5,step=5    judge it again and again
      decided                              stop when the vote can no longer change
      windows:window=5                     stop when a whole window agrees (ESC)
      beta:confidence=0.95                 stop when the leader has likely won
      length:tokens=300,detect_at=5        short answers mean easy questions
      FILE.toml                            what dynasor calibrate has written

    With --shadow 0.05 one problem in twenty runs to its cap while its policy is
    asked all the same. So the run measures what the policy saves and what it
    loses, against the promise of its file (without one: 0.5 points at 95 %).
    Once the promise is seen to be broken, problems that have not started get
    even allocation, and the run says so.
    """  # noqa: D301
    refuse_live_options(click.get_current_context())
    options = options_of(given)
    display = Display(quiet=given["quiet"] or given["as_json"])
    launch, cut = asyncio.run(run_launch(options, display))
    print_run(launch.batch.tally, launch.directory, as_json=given["as_json"])
    leave(launch, cut=cut)


async def run_launch(options: RunOptions, display: Display) -> tuple[Launch, bool]:
    """Run what is asked for; also whether it was cut short."""
    launch = await prepare(options)
    display.begin(launch)
    task = asyncio.ensure_future(launch.run())
    _listen(launch, task, display)
    try:
        await task
    except asyncio.CancelledError:
        return launch, True
    finally:
        display.end()
    return launch, False


def _listen(launch: Launch, task: "asyncio.Future[Any]", display: Display) -> None:
    """Stop gently when asked once, and at once when asked again."""

    def stop() -> None:
        if launch.batch.interrupted:
            task.cancel()
        else:
            launch.batch.interrupt()
            display.say(f"stopping: {launch.batch.request_count} requests in flight land first; again to cut them")

    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop)


def leave(launch: Launch, *, cut: bool) -> None:
    """Say what is left, and leave with a code that tells: 0 where nothing is."""
    batch = launch.batch
    if batch.complete:
        return
    resume = f"{batch.tally.finished} of {launch.problem_count} problems are done; the same command goes on from here"
    if batch.interrupted or cut:
        click.echo(f"dynasor: stopped. {resume}", err=True)
        raise SystemExit(INTERRUPTED)
    fault = next(iter(batch.stalled.values()), "no reason given")
    click.echo(f"dynasor: {len(batch.stalled)} problems are unfinished ({fault}). {resume}", err=True)
    raise SystemExit(UNFINISHED)


def options_of(given: dict[str, Any]) -> RunOptions:
    """What the options of the command ask for."""
    named = {field.name for field in fields(RunOptions)} & given.keys() - {"endpoint", "model"}
    return RunOptions(
        **{name: given[name] for name in named}
        | {"algorithm": given["program"] or given["algorithm"]}
        | {"signal": given["signal_name"], "format": given["format_name"], "seeded_requests": given["seed_requests"]}
        | ({"endpoint": _endpoints(given)} if given["endpoint"] else {"model": _model(given)}),
        columns=Columns(given["question_column"], given["answer_column"], given["id_column"]),
        sampling=Sampling(**{name: given[name] for name in Sampling.__struct_fields__}),
        prompt=_read(given["prompt_file"]) if given["prompt_file"] else STEP_BY_STEP,
    )


def _endpoints(given: dict[str, Any]) -> list[Endpoint]:
    for name in ("context", "threads"):
        if given[name] is not None:
            raise UsageError(f"--{name} has no effect on a server; leave it out")
    unheld = given["concurrency"] == AUTO or given["priority"] != "none"
    return [
        Endpoint(
            server.url,
            given["model"],
            api=given["api"] or "chat",
            stream=given["stream"],
            api_key_variable=given["api_key_variable"],
            max_connections=MOST_CONNECTIONS if unheld else max(1, given["concurrency"]),
            priority=given["priority"],
        )
        for server in several(given["endpoint"])
    ]


def _model(given: dict[str, Any]) -> EmbeddedModel | None:
    if given["priority"] != "none":
        raise UsageError("--priority is for a server that orders what waits there; without one, leave it out")
    if given["model"] is None:
        return None
    return EmbeddedModel(
        Path(given["model"]),
        api=given["api"] or "auto",
        context_tokens=given["context"],
        threads=given["threads"] or 1,
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as fault:
        raise UsageError(f"cannot read the prompt file {path}: {fault.strerror}") from fault
    except UnicodeDecodeError as fault:
        raise UsageError(f"the prompt file {path} is not UTF-8 text") from fault
