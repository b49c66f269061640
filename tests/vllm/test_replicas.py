"""A real server that is killed while programs run on it, and started again: they wait for it, and none is lost."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from training.problems import EASY_MIX, held_out

from dynasor.allocation.allocator import InRounds
from dynasor.allocation.baselines import Even
from dynasor.answers.grouping import ByText
from dynasor.bench.vllm_options import ENVIRONMENT, ServerOptions
from dynasor.bench.vllm_server import VLLMServer
from dynasor.clock import WallClock
from dynasor.datasets.problem import Problem
from dynasor.engines.builtin import policy_folder
from dynasor.engines.endpoint import Endpoint
from dynasor.engines.openai_http import OpenAIEngine
from dynasor.engines.replica_breaker import BreakerState
from dynasor.engines.replica_policy import ReplicaPolicy
from dynasor.engines.replicas import ReplicatedEngine
from dynasor.engines.retrying import RetryPolicy
from dynasor.journal.journal import read_journal
from dynasor.journal.records import Landed, ProgramFinished
from dynasor.programs.program import Setup
from dynasor.programs.prompt import PromptTemplate
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.programs.session import Session
from dynasor.request import Sampling
from dynasor.runtime.batch import Batch
from support.batches import plan_of

pytestmark = [pytest.mark.vllm, pytest.mark.slow, pytest.mark.xdist_group("vllm")]

LIMIT_S = 600.0
"""For a start or a run; generous, for other work may share the machine."""
PROBLEMS, CAP = 16, 6


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[VLLMServer]:
    """A server of its own: nobody else asks one that is killed."""
    if not ENVIRONMENT.exists() and not os.environ.get("CI"):
        pytest.skip(f"there is no {ENVIRONMENT.name}; make it with scripts/vllm-environment")
    server = VLLMServer(ServerOptions(model=policy_folder(), log=tmp_path / "victim.log"))
    try:
        yield server.start().wait_until_ready(LIMIT_S)
    finally:
        server.stop()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not condition():
            await WallClock().sleep(0.005)


def session(problem: Problem) -> Session:
    setup = Setup(
        cap=CAP,
        grouping=ByText,
        prompt=PromptTemplate("{question}", "", chat=True),
        sampling=Sampling(temperature=0.8, max_tokens=256),
    )
    return Session(SelfConsistency(problem, setup), InRounds(Even()))


async def test_a_killed_server_that_comes_back_loses_no_program(victim: VLLMServer, tmp_path: Path) -> None:
    drawn = held_out(0, "test", PROBLEMS, EASY_MIX)
    problems = [Problem(f"p{index}", each.question, str(each.answer)) for index, each in enumerate(drawn)]
    endpoint = Endpoint(victim.url, api="chat", retries=RetryPolicy(retries=0))
    engine = ReplicatedEngine(
        [(endpoint.url, OpenAIEngine(endpoint, environ={}))], policy=ReplicaPolicy(patience_s=LIMIT_S)
    )
    await engine.check()
    plan = plan_of(0, problems=problems, session=session, cap=CAP)
    running = asyncio.ensure_future(Batch(plan, engine, WallClock(), tmp_path / "out").run())
    await until(lambda: engine.states[0].answered_count > 0 and engine.states[0].in_flight > 0)
    assert victim.pid is not None
    os.killpg(victim.pid, signal.SIGKILL)
    await until(lambda: engine.states[0].state is BreakerState.OPEN)
    before = engine.states[0]
    assert before.answered_count < PROBLEMS * CAP
    assert before.lost_count > 0

    await asyncio.to_thread(victim.stop)
    again = VLLMServer(ServerOptions(model=policy_folder(), log=tmp_path / "again.log", port=victim.port))
    try:
        await asyncio.to_thread(lambda: again.start().wait_until_ready(LIMIT_S))
        await asyncio.wait_for(running, LIMIT_S)
    finally:
        await asyncio.to_thread(again.stop)
        await engine.close()

    assert engine.states[0].answered_count == PROBLEMS * CAP
    records = list(read_journal(tmp_path / "out" / "journal.jsonl"))
    landed = [record.completion for record in records if isinstance(record, Landed)]
    ended = [record for record in records if isinstance(record, ProgramFinished)]
    assert len({completion.id for completion in landed}) == len(landed) == PROBLEMS * CAP
    assert all(completion.finish.is_whole for completion in landed)
    assert sorted(record.program for record in ended) == sorted(problem.id for problem in problems)
    assert sum(record.tokens for record in ended) == sum(completion.tokens or 0 for completion in landed)
