"""The labelled batch that `dynasor calibrate --problems ...` runs by itself: even allocation, durable and resumable."""

import asyncio
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from dynasor.cli.live import Display
from dynasor.cli.run import leave, options_of, run, run_launch
from dynasor.errors import UsageError

PASSED_ON = frozenset(
    {
        *("endpoint", "model", "context", "threads", "api", "stream", "api_key_variable", "concurrency"),
        *("signal_name", "extract", "grouping", "scorer", "reward", "thinking", "judge_code", "temperature", "top_p"),
        *("max_tokens", "stop", "logprobs", "prompt_file", "system", "seed_requests", "format_name"),
        *("question_column", "answer_column", "id_column", "limit", "offset"),
    }
)
"""The options of `dynasor run` that name problems, who answers them, and how."""

_GIVEN = frozenset({ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT})


def with_run_options(command: click.Command) -> click.Command:
    """Give a command those options, as `dynasor run` has them."""
    command.params += [parameter for parameter in run.params if parameter.name in PASSED_ON]
    return command


def refuse_without_problems(ctx: click.Context) -> None:
    """Refuse options of a batch where none is run.

    Raises:
        UsageError: naming the first of them.
    """
    for parameter in ctx.command.params:
        if parameter.name in PASSED_ON and ctx.get_parameter_source(parameter.name) in _GIVEN:
            raise UsageError(f"{parameter.opts[0]} is for a batch that is run here; leave it out, or add --problems")


def labelled_batch(given: dict[str, Any], *, quiet: bool) -> Path:
    """Run the batch, or what is left of it; leaves the process with a code of `dynasor run` where some is left.

    Returns:
        The run's directory.
    """
    usual = run.make_context("run", []).params
    own = {name: given[name] for name in PASSED_ON} | {name: given[name] for name in ("problems", "cap", "seed")}
    own |= {"algorithm": given["algorithm"] or "sc", "policy": "even", "out": given["run_directory"]}
    launch, cut = asyncio.run(run_launch(options_of(usual | own), Display(quiet=quiet)))
    leave(launch, cut=cut)
    return launch.directory
