"""Searches and probed chains against real servers: steps, rewards, reports, and the prefix that probes share."""

import json
from pathlib import Path

import pytest
from training.problems import EASY_MIX, held_out

import dynasor
from dynasor.bench.vllm_server import VLLMServer
from dynasor.engines.endpoint import Endpoint
from dynasor.journal.journal import read_journal
from dynasor.journal.records import Grew, Landed, ProgramFinished, Record
from dynasor.programs.probed import ProbedCot
from dynasor.programs.probing import Probing
from support.live_engine import PATIENT

pytestmark = [pytest.mark.vllm, pytest.mark.slow, pytest.mark.xdist_group("vllm")]

PROBLEMS = 8
INTERVAL, ROUNDS = 32, 24
ENDLESS = {"logit_bias": {"984": -100, "987": -100}}  # neither <|end|> nor </think>


class Probed(ProbedCot):
    """The words that the built-in model knows for the end of its thoughts."""

    settings = Probing(interval=INTERVAL, window=2, tokens=8, temperature=0.0, suffix="\n</think>\nThe answer is")


@pytest.fixture
def problems(tmp_path: Path) -> Path:
    path = tmp_path / "problems.jsonl"
    rows = [{"question": one.question, "answer": str(one.answer)} for one in held_out(0, "test", PROBLEMS, EASY_MIX)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def cached_tokens(server: VLLMServer) -> tuple[float, float]:
    """Prompt tokens that were looked up in the prefix cache, and those that were found."""
    return server.metric("vllm:prefix_cache_queries_total"), server.metric("vllm:prefix_cache_hits_total")


async def records_of(problems: Path, max_tokens: int = 256, **options: object) -> list[Record]:
    out = problems.with_name("out")
    limits = {"sampling": dynasor.Sampling(temperature=0.8, max_tokens=max_tokens, logprobs=True), "out": out}
    await dynasor.arun(problems=problems, prompt="{question}", **limits, **options)
    return list(read_journal(out / "journal.jsonl"))


def ended(records: list[Record]) -> list[ProgramFinished]:
    return [record for record in records if isinstance(record, ProgramFinished)]


@pytest.mark.parametrize("algorithm", ["rebase", "mcts"])
async def test_a_search_with_rewards(
    policy_server: VLLMServer, reward_server: VLLMServer, problems: Path, algorithm: str
) -> None:
    records = await records_of(
        problems, endpoint=policy_server.url, algorithm=algorithm, cap=4, policy="even", reward=reward_server.url
    )
    steps = [record.completion for record in records if isinstance(record, Landed)]
    assert all(step.reward is not None and 0 <= step.reward <= 1 for step in steps)
    lines = [step for step in steps if step.stopped_at == "\n"]
    assert len(lines) > len(steps) / 3, "most steps end at the end of a line"
    assert all("\n" not in step.text for step in lines)
    assert [record.knob for record in ended(records)] == [4] * PROBLEMS or algorithm == "mcts"
    assert any(record.correct for record in ended(records)), "an untrained model would answer none"


async def test_probes_find_the_chain_in_the_prefix_cache(policy_server: VLLMServer, problems: Path) -> None:
    before = cached_tokens(policy_server)
    # Chains that go on and on: a client that is starved for seconds still finds them at work.
    endpoint = Endpoint(policy_server.url, extra_body=ENDLESS, timeouts=PATIENT)
    records = await records_of(
        problems, ROUNDS * INTERVAL, endpoint=endpoint, algorithm=Probed, policy="even", cap=ROUNDS, thinking=True
    )
    asked, hit = (now - then for now, then in zip(cached_tokens(policy_server), before, strict=True))
    finished = ended(records)
    assert len(finished) == PROBLEMS
    assert any(isinstance(record, Grew) for record in records)
    probes = [record for record in records if isinstance(record, Landed) and record.completion.id.index]
    assert len(probes) >= 2 * PROBLEMS, "fewer, the more a starved client lets chains run ahead"
    assert hit > 0.5 * asked, f"{hit:.0f} of {asked:.0f} prompt tokens came from the cache"
