"""The command line against a real server, from problems to a whole journal."""

import json
from collections import Counter
from pathlib import Path

import pytest
from training.problems import EASY_MIX, held_out

from dynasor.bench.vllm_server import VLLMServer
from dynasor.journal.journal import read_journal
from dynasor.journal.records import Landed, ProgramFinished, RunStarted
from support.commands import finish, start

pytestmark = [pytest.mark.vllm, pytest.mark.slow, pytest.mark.xdist_group("vllm")]

PROBLEMS, CAP = 20, 6


@pytest.mark.parametrize("flags", [(), ("--in-flight", "--logprobs")])
def test_twenty_problems_end_in_a_whole_journal(
    policy_server: VLLMServer, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    drawn = held_out(0, "test", PROBLEMS, EASY_MIX)
    rows = [{"question": problem.question, "answer": str(problem.answer)} for problem in drawn]
    (tmp_path / "problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "prompt.txt").write_text("{question}")
    asked = ("run", "problems.jsonl", "--endpoint", policy_server.url, "--prompt-file", "prompt.txt")
    limits = ("--cap", CAP, "--max-tokens", 200, "--policy", "decided", "--out", "out", "--quiet")
    code, _, err = finish(start(*asked, *limits, *flags, cwd=tmp_path), timeout_s=240)
    assert code == 0, err
    records = list(read_journal(tmp_path / "out" / "journal.jsonl"))
    ended = [record for record in records if isinstance(record, ProgramFinished)]
    landed: Counter[str] = Counter(record.completion.id.program for record in records if isinstance(record, Landed))
    assert isinstance(records[0], RunStarted)
    assert {record.question for record in ended} == {problem.question for problem in drawn}
    assert len(ended) == len({record.program for record in ended}) == PROBLEMS
    assert all(record.knob <= landed[record.program] <= CAP and record.tokens > 0 for record in ended)
    assert sum(record.failed_count + record.unknown_count for record in ended) == 0
    # An untrained model would answer none of them.
    assert sum(record.correct or 0 for record in ended) > PROBLEMS / 4
