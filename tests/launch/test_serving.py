"""What a run's options say of order, deadlines and limits."""

from pathlib import Path
from typing import Any

import pytest

from dynasor.cli.run import run
from dynasor.engines.endpoint import Endpoint
from dynasor.errors import UsageError
from dynasor.launch.deadlines import deadlines
from dynasor.launch.launch import prepare
from dynasor.launch.options import RunOptions
from dynasor.launch.settings import circumstances_of, settings_of
from dynasor.launch.sources import MOST_ADAPTIVE, UNBOUNDED, live_source
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.runtime.in_flight import Limits
from dynasor.scheduling.fcfs import Fcfs
from dynasor.wiring import make_ordering, make_scheduler

SERVER = "http://127.0.0.1:9/v1"


@pytest.fixture
def problems(tmp_path: Path) -> str:
    (tmp_path / "q.jsonl").write_text('{"question": "1 + 1?", "answer": "2"}\n')
    return str(tmp_path / "q.jsonl")


def test_an_ordering_is_a_circumstance_and_a_deadline_a_setting() -> None:
    options = RunOptions(ordering="sjf", deadline_s=9.0)
    assert circumstances_of(options)["ordering"] == "sjf"
    settings = settings_of(options, SelfConsistency, "even")
    assert settings["deadline_s"] == 9.0
    assert "ordering" not in settings
    assert "deadline_s" not in settings_of(RunOptions(), SelfConsistency, "even"), "older runs can go on"


async def test_an_ordering_that_is_not_known_is_refused_before_anything_is_read() -> None:
    with pytest.raises(UsageError, match="unknown ordering 'sfj'; did you mean 'sjf'"):
        await prepare(RunOptions(problems="nowhere.jsonl", endpoint=Endpoint(SERVER), ordering="sfj"))


def test_orderings_by_name() -> None:
    assert make_ordering("fcfs") == Fcfs()
    assert make_scheduler("gang+sjf")[1] == "gang+sjf"


def test_orderings_of_other_packages_are_loaded_where_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def plugged(group: str) -> dict[str, Any]:
        asked.append(group)
        return {"mine": Fcfs}

    monkeypatch.setattr("dynasor.wiring._plugged", plugged)
    make_ordering("gang+sjf")
    assert asked == []
    assert make_scheduler("gang+mine")[1] == "gang+mine"
    assert asked == ["dynasor.orderings"]


@pytest.mark.parametrize(
    ("changes", "limits"),
    [
        ({"concurrency": 7}, Limits(7, 7)),
        ({"concurrency": "auto"}, Limits(MOST_ADAPTIVE, MOST_ADAPTIVE, adaptive=True)),
        ({"concurrency": 7, "outage_s": 5.0}, Limits(7, 7, outage_s=5.0)),
        ({"concurrency": 7, "endpoint": Endpoint(SERVER, priority="vllm")}, Limits(UNBOUNDED, 7)),
    ],
)
def test_limits_follow_the_options(problems: str, changes: dict[str, Any], limits: Limits) -> None:
    options = RunOptions(**{"problems": problems, "endpoint": Endpoint(SERVER), **changes})
    assert live_source(options, SelfConsistency).limits == limits


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"concurrency": "many"}, "the concurrency is 'many'; it must be a whole number"),
        ({"deadline_s": 0.0}, "the deadline is 0.0; it must be above 0"),
        ({"deadline_s": float("nan")}, "the deadline is nan"),
        ({"outage_s": -1.0}, "the outage is -1.0; it must be a number of at least 0"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        RunOptions(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trace": "svamp"}, "a recording answers at once"),
        ({"token_budget": 9}, "--token-budget counts on what it grants"),
        ({"shadow": 0.1}, "--shadow counts on what it grants"),
    ],
)
def test_deadlines_that_cannot_be_kept_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        deadlines(RunOptions(deadline_s=5.0, **changes))


def test_without_a_deadline_allocators_are_left_as_they_are() -> None:
    overload, due = deadlines(RunOptions())
    allocator: Any = object()
    assert overload is None
    assert due(allocator) is allocator


@pytest.mark.parametrize(("given", "read"), [("12", 12), ("auto", "auto")])
def test_concurrency_is_a_number_or_auto(given: str, read: object) -> None:
    assert run.make_context("run", ["q.jsonl", "--concurrency", given]).params["concurrency"] == read


def test_other_concurrency_is_refused() -> None:
    import click

    with pytest.raises(click.BadParameter, match="'many' is neither a whole number nor auto"):
        run.make_context("run", ["q.jsonl", "--concurrency", "many"])
