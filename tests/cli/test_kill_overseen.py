"""Runs with a token budget or with shadow programs, killed at work."""

import json
import signal
from pathlib import Path
from random import Random
from time import sleep

import pytest

from dynasor.journal.journal import read_journal
from dynasor.journal.records import Landed, ProgramFinished
from dynasor.programs.program import _seed_of
from dynasor.request import Finish
from support.commands import finish, start
from support.faulty_server import FaultyServer

pytestmark = pytest.mark.slow

PROBLEMS, KILLS, CAP, CONCURRENCY = 80, 4, 8, 12
TOKEN_DELAY_S = 0.004
POLICY = ("--policy", "static:threshold=0.7,detect_at=3")


def command(url: str, out: str, *more: str) -> tuple[str, ...]:
    live = ("run", "problems.jsonl", "--endpoint", url, "--seed-requests", "--seed", "5")
    return (*live, "--concurrency", str(CONCURRENCY), "--cap", str(CAP), "--out", out, *more)


def landed(directory: Path) -> dict[int, int]:
    """Tokens by the request's seed."""
    if not (directory / "journal.jsonl").exists():
        return {}
    return {
        _seed_of(5, record.completion.id.program, record.completion.id.index): record.completion.tokens or 0
        for record in read_journal(directory / "journal.jsonl")
        if isinstance(record, Landed) and record.completion.finish is not Finish.CANCELLED
    }


def finished(directory: Path) -> dict[str, ProgramFinished]:
    records = read_journal(directory / "journal.jsonl")
    found = [record for record in records if isinstance(record, ProgramFinished)]
    assert len(found) == len({record.program for record in found})
    return {record.program: record for record in found}


def kill_and_finish(server: FaultyServer, folder: Path, *flags: str) -> None:
    """Kill a run again and again at work, then let it end; no branch that landed is asked for again."""
    random = Random(3)
    asked_before = 0
    for _ in range(KILLS):
        known = landed(folder / "killed").keys()
        process = start(*command(server.url, "killed", *flags), cwd=folder)
        while len(landed(folder / "killed")) <= len(known) and process.poll() is None:
            sleep(0.02)
        sleep(random.uniform(0.0, 0.1))
        assert process.poll() is None, "the run was over before it was killed often enough; make it longer"
        process.send_signal(signal.SIGKILL)
        finish(process)
        received = server.log().received
        assert not known & {key[1] for key in received[asked_before:]}
        asked_before = len(received)
    known = landed(folder / "killed").keys()
    code, _, err = finish(start(*command(server.url, "killed", *flags), cwd=folder))
    assert code == 0, err
    assert not known & {key[1] for key in server.log().received[asked_before:]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [{"id": f"q{n}", "question": f"What is {n} + {n}?", "answer": str(n % 7)} for n in range(PROBLEMS)]
    (tmp_path / "problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def test_a_budget_outlives_kills(folder: Path) -> None:
    with FaultyServer(token_delay_s=TOKEN_DELAY_S) as server:
        code, _, err = finish(start(*command(server.url, "even", "--policy", "even"), cwd=folder))
        assert code == 0, err
        even = landed(folder / "even")
        server.reset()
        budget = sum(even.values()) // 2
        kill_and_finish(server, folder, "--token-budget", str(budget))
    spent = landed(folder / "killed")
    assert 0.9 * budget < sum(spent.values()) <= budget + CONCURRENCY * max(even.values())
    found = finished(folder / "killed")
    assert len(found) == PROBLEMS
    assert sum(record.tokens for record in found.values()) == sum(spent.values())
    assert any(record.stopped_by == "budget" for record in found.values())


def test_shadows_outlive_kills(folder: Path) -> None:
    flags = ("--shadow", "0.3", *POLICY)
    with FaultyServer(token_delay_s=TOKEN_DELAY_S) as server:
        code, _, err = finish(start(*command(server.url, "whole", *flags), cwd=folder))
        assert code == 0, err
        server.reset()
        kill_and_finish(server, folder, *flags)
    whole, killed = finished(folder / "whole"), finished(folder / "killed")
    assert len(killed) == PROBLEMS
    both = [id for id, record in whole.items() if record.policy is None and killed[id].policy is None]
    assert {id: killed[id].shadow for id in both} == {id: whole[id].shadow for id in both}
    assert sum(record.shadow is not None for record in killed.values()) > 5
    summaries = [json.loads((folder / out / "summary.json").read_text()) for out in ("whole", "killed")]
    assert summaries[0]["promise"] == summaries[1]["promise"]
    alarms = [summary["alarm"] and summary["alarm"]["programs"] for summary in summaries]
    assert alarms[0] == alarms[1], "programs are looked at in the problems' order, whatever ended first"
