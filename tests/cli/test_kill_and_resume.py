import json
import signal
import subprocess
from pathlib import Path
from random import Random
from time import sleep

import msgspec
import pytest

from dynasor.journal.journal import read_journal
from dynasor.journal.records import Landed, ProgramFinished
from dynasor.programs.program import _seed_of
from dynasor.request import Finish, RequestId
from support.commands import finish, start
from support.faulty_app import STEPS
from support.faulty_server import FaultyServer

pytestmark = pytest.mark.slow

PROBLEMS, KILLS, CAP = 300, 20, 10
TOKEN_DELAY_S = 0.004


def write_problems(path: Path, count: int = PROBLEMS) -> None:
    rows = [{"id": f"q{n}", "question": f"What is {n} + {n}?", "answer": str(n % 7)} for n in range(count)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def command(url: str, out: str, policy: str, *more: str) -> tuple[str, ...]:
    live = ("run", "problems.jsonl", "--endpoint", url, "--seed-requests", "--seed", "5", "--concurrency", "24")
    return (*live, "--cap", str(CAP), "--policy", policy, "--out", out, *more)


def landed(journal: Path) -> list[RequestId]:
    if not journal.exists():
        return []
    return [
        record.completion.id
        for record in read_journal(journal)
        if isinstance(record, Landed) and record.completion.finish is not Finish.CANCELLED
    ]


def landed_lines(journal: Path) -> int:
    """As many as `landed` tells, without reading the records: it is asked again and again while a run works."""
    written = journal.read_bytes() if journal.exists() else b""
    return written.count(b'"kind":"landed"') - written.count(b'"finish":"cancelled"')


def wait_for_work(journal: Path, process: "subprocess.Popen[str]") -> None:
    """Until something lands, however slow the machine is at it."""
    landed_before = landed_lines(journal)
    while landed_lines(journal) <= landed_before and process.poll() is None:
        sleep(0.02)


def answers(directory: Path) -> dict[str, dict[str, object]]:
    lines = (directory / "answers.jsonl").read_bytes().splitlines()
    return {answer["id"]: answer for answer in map(msgspec.json.decode, lines)}


STEP_BY_STEP = ("--api", "completions", "--prompt-file", "steps.txt", "--scorer", "logprob", "--logprobs")


@pytest.mark.parametrize(
    ("policy", "flags", "problems", "delays"),
    [
        ("static:threshold=0.7,detect_at=3", (), PROBLEMS, 2),
        ("decided", ("--in-flight",), PROBLEMS, 2),
        ("static:threshold=0.7,detect_at=4", ("--algorithm", "rebase", *STEP_BY_STEP), 100, 3),
        ("static:threshold=0.7,detect_at=3", ("--algorithm", "mcts", *STEP_BY_STEP), 60, 2),
    ],
    ids=["sc", "sc in flight", "rebase", "mcts"],
)
def test_a_run_killed_twenty_times_ends_as_if_it_had_not_been(
    tmp_path: Path, policy: str, flags: tuple[str, ...], problems: int, delays: int
) -> None:
    write_problems(tmp_path / "problems.jsonl", problems)
    (tmp_path / "steps.txt").write_text(f"{{question}}\n{STEPS}")
    random = Random(11)
    with FaultyServer(token_delay_s=delays * TOKEN_DELAY_S) as server:
        code, _, err = finish(start(*command(server.url, "whole", policy, *flags), cwd=tmp_path))
        assert code == 0, err
        server.reset()

        journal = tmp_path / "killed" / "journal.jsonl"
        kills, asked_before, grown = 0, 0, 0
        while kills < KILLS:
            known = {_seed_of(5, id.program, id.index) for id in landed(journal)}
            process = start(*command(server.url, "killed", policy, *flags), cwd=tmp_path)
            if kills % 4:  # one in four is killed while it starts, the others at work
                wait_for_work(journal, process)
            sleep(random.uniform(0.0, 0.15))
            assert process.poll() is None, "the run was over before it was killed often enough; make it longer"
            process.send_signal(signal.SIGKILL)
            kills += 1
            finish(process)
            grown += len(landed(journal)) > len(known)
            received = server.log().received
            again = known & {key[1] for key in received[asked_before:]}
            assert not again, f"{len(again)} branches that had landed were asked for again"
            asked_before = len(received)
        assert grown >= KILLS - KILLS // 4, "the kills hit runs at work, not only runs that were starting"
        known = {_seed_of(5, id.program, id.index) for id in landed(journal)}
        code, _, err = finish(start(*command(server.url, "killed", policy, *flags), cwd=tmp_path))
        assert code == 0, err
        assert not known & {key[1] for key in server.log().received[asked_before:]}

    ids = landed(journal)
    assert len(ids) == len(set(ids)), "no branch landed twice"
    finished = [record for record in read_journal(journal) if isinstance(record, ProgramFinished)]
    assert len(finished) == len({record.program for record in finished}) == problems
    whole, killed = answers(tmp_path / "whole"), answers(tmp_path / "killed")
    assert {id: answer["answer"] for id, answer in killed.items()} == {
        id: answer["answer"] for id, answer in whole.items()
    }
    if "--in-flight" not in flags:
        assert killed == whole, "without cutting in flight, tokens and branches are the same too"


def test_ctrl_c_lands_what_is_in_flight_and_says_how_to_go_on(tmp_path: Path) -> None:
    write_problems(tmp_path / "problems.jsonl")
    with FaultyServer(token_delay_s=TOKEN_DELAY_S) as server:
        process = start(*command(server.url, "run", "even"), cwd=tmp_path)
        while server.stats().answered < 40:
            sleep(0.01)
        process.send_signal(signal.SIGINT)
        code, out, err = finish(process)
        assert code == 130
        assert "requests in flight land first; again to cut them" in err
        assert "of 300 problems are done; the same command goes on from here" in err
        assert "accuracy" in out
        stats = server.stats(active=0)
        assert stats.aborted == 0
        assert len(landed(tmp_path / "run" / "journal.jsonl")) == stats.answered
        code, out, err = finish(start(*command(server.url, "run", "even", "--json"), cwd=tmp_path))
        assert (code, json.loads(out)["problems"]) == (0, PROBLEMS)
        assert server.stats().requests == PROBLEMS * CAP, "nothing was asked for twice"


def test_a_second_ctrl_c_cuts_what_is_in_flight(tmp_path: Path) -> None:
    write_problems(tmp_path / "problems.jsonl")
    with FaultyServer(token_delay_s=2.0) as server:
        process = start(*command(server.url, "run", "even"), cwd=tmp_path)
        server.stats(active=24)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert "again to cut them" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        code, _, err = finish(process)
        assert code == 130
        assert "0 of 300 problems are done" in err
        assert server.stats(active=0).aborted == 24


def test_a_server_that_dies_ends_the_run_which_can_go_on(tmp_path: Path) -> None:
    write_problems(tmp_path / "problems.jsonl")
    with FaultyServer(token_delay_s=TOKEN_DELAY_S) as server:
        process = start(*command(server.url, "run", "even", "--concurrency", "4"), cwd=tmp_path)
        while server.stats().answered < 100:
            sleep(0.01)
        port = int(server.url.rpartition(":")[2])
    code, _, err = finish(process)
    assert code == 1
    assert "20 programs failed in a row" in err
    assert "the same command goes on" in err
    done = len(landed(tmp_path / "run" / "journal.jsonl"))
    assert done >= 100
    with FaultyServer(port=port) as server:
        code, _, err = finish(start(*command(server.url, "run", "even"), cwd=tmp_path))
        assert code == 0, err
        assert server.stats().requests == PROBLEMS * CAP - done
