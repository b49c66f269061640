"""Several servers of one model, as a run is asked for them."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import dynasor
from dynasor.cli import main
from dynasor.engines.endpoint import Endpoint
from dynasor.engines.retrying import RetryPolicy
from dynasor.errors import UsageError
from dynasor.journal.journal import read_journal
from dynasor.journal.records import RunStarted
from dynasor.launch.options import RunOptions
from dynasor.launch.replicas import replicated, several
from support.faulty_server import FaultyServer

A, B, C = (f"http://{name}:8000/v1" for name in "abc")


@pytest.mark.parametrize(
    "given", [[A, B], (Endpoint(A), B), f"{A},{B}", f"{A}, {B},", [f"{A},{B}"], ["http://a:8000", "http://b:8000/"]]
)
def test_every_way_to_name_them(given: Any) -> None:
    options = RunOptions(endpoint=given)
    assert options.endpoint == Endpoint(A)
    assert options.replicas == (Endpoint(B),)


def test_one_server_is_as_it_was() -> None:
    for given in (A, Endpoint(A), [A]):
        options = RunOptions(endpoint=given)  # type: ignore[arg-type]
        assert (options.endpoint, options.replicas) == (Endpoint(A), ())
    assert RunOptions().endpoint is None
    assert RunOptions(endpoint=Endpoint(A), replicas=(Endpoint(B), Endpoint(C))).replicas == (Endpoint(B), Endpoint(C))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([A, A], "the server http://a:8000/v1 is given twice"),
        (f"{A},b", "'b' is not the address of a server"),
        ("", "'' is not the address of a server"),
        (7, "the endpoint is 7; give a server's address"),
    ],
)
def test_what_is_no_server(given: Any, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        several(given)


def test_they_are_asked_alike() -> None:
    with pytest.raises(
        UsageError, match="replicas must be asked alike: api is 'chat' for http://a:8000/v1, and 'auto'"
    ):
        replicated(Endpoint(A, api="chat"), Endpoint(B))
    stubborn = Endpoint(B, retries=RetryPolicy(retries=9, budget_share=0.5))
    assert repr(replicated(Endpoint(A), stubborn)) == f"ReplicatedEngine({A}, {B})"


def test_thinking_is_asked_of_all() -> None:
    options = RunOptions(endpoint=[A, B], thinking=True)  # type: ignore[arg-type]
    assert options.endpoint is not None
    assert options.replicas[0].extra_body == options.endpoint.extra_body != {}


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("problems.jsonl").write_text("".join(f'{{"question": "{n}?", "answer": "{n}"}}\n' for n in range(6)))
    asked = ["run", "problems.jsonl", "--cap", "3", "--policy", "even", "--quiet"]
    with FaultyServer() as one, FaultyServer() as other:
        two = ["--endpoint", one.url, "--endpoint", other.url]
        first = CliRunner().invoke(main, [*asked, *two])
        assert first.exit_code == 0, first.output
        assert min(one.stats().requests, other.stats().requests) > 0
        again = CliRunner().invoke(main, [*asked, "--endpoint", one.url])
        assert again.exit_code == 0, again.output
        assert one.stats().requests + other.stats().requests == 18, "nothing was asked for twice"
    (journal,) = Path("runs").glob("*/journal.jsonl")
    begun = next(record for record in read_journal(journal) if isinstance(record, RunStarted))
    assert begun.circumstances["endpoint"] == f"{one.url}/v1,{other.url}/v1"
    assert begun.settings["model"] == "tiny"


@pytest.mark.slow
def test_servers_of_different_models_are_refused(tmp_path: Path) -> None:
    (tmp_path / "problems.jsonl").write_text('{"question": "1?", "answer": "1"}\n')
    with (
        FaultyServer() as server,
        pytest.raises(UsageError, match=r"replicas must have one model: .* 'tiny', and .* 'x'"),
    ):
        dynasor.run(
            problems=tmp_path / "problems.jsonl", endpoint=[server.url, f"{server.url}/serving/x"], out=tmp_path / "out"
        )
