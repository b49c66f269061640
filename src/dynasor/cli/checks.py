"""Options that mean nothing together are refused: what is silently ignored misleads."""

import click
from click.core import ParameterSource

from dynasor.errors import UsageError

_LIVE = frozenset(
    {
        *("model", "context", "threads", "api", "stream", "api_key_variable", "concurrency", "seed_requests"),
        *("ordering", "deadline_s", "outage_s", "priority"),
        *("extract", "temperature", "top_p", "max_tokens", "stop", "logprobs", "prompt_file", "system"),
        *("format_name", "question_column", "answer_column", "id_column"),
    }
)
_GIVEN = frozenset({ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT})


def refuse_live_options(ctx: click.Context) -> None:
    """Refuse options for a server or for a file of problems beside --trace, which brings its own answers.

    Raises:
        UsageError: naming the first of them.
    """
    if ctx.params.get("trace") is None:
        return
    for parameter in ctx.command.params:
        if parameter.name in _LIVE and ctx.get_parameter_source(parameter.name) in _GIVEN:
            raise UsageError(f"{parameter.opts[0]} has no effect on a recording; leave it out")
