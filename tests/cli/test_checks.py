import pytest

from dynasor.cli.checks import refuse_live_options
from dynasor.cli.run import run
from dynasor.errors import UsageError


def check(*arguments: str) -> None:
    refuse_live_options(run.make_context("run", list(arguments)))


@pytest.mark.parametrize(
    "given",
    [
        ("--temperature", "0.7"), ("--top-p", "1"), ("--max-tokens", "9"), ("--stop", "x"), ("--logprobs",),
        ("--prompt-file", "p.txt"), ("--system", "s"), ("--extract", "auto"), ("--model", "m"), ("--api", "chat"),
        ("--no-stream",), ("--concurrency", "3"), ("--seed-requests",), ("--format", "math"), ("--id-column", "id"),
    ],
)  # fmt: skip
def test_an_option_for_a_server_is_refused_beside_a_recording(given: tuple[str, ...]) -> None:
    option = "--stream" if given == ("--no-stream",) else given[0]
    with pytest.raises(UsageError, match=f"^{option} has no effect on a recording; leave it out$"):
        check("--trace", "svamp", *given)
    check("problems.jsonl", "--endpoint", "http://localhost:8000", *given)


def test_defaults_are_not_refused_nor_what_a_recording_heeds() -> None:
    check("--trace", "svamp", "--cap", "5", "--seed", "1", "--limit", "3", "--grouping", "text", "--signal", "length")
