"""A real server with the plug-in that is killed while programs run on it, and started again: none of them is lost.

Nobody but the dispatcher waits for the server: the engine sends no request again, and there are no replicas.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dynasor.allocation.allocator import InRounds
from dynasor.allocation.threshold import StaticThreshold
from dynasor.bench.vllm_options import ENVIRONMENT, ServerOptions
from dynasor.bench.vllm_server import VLLMServer
from dynasor.clock import WallClock
from dynasor.datasets.problem import Problem
from dynasor.datasets.problem_sets import problem_set
from dynasor.engines.builtin import policy_folder
from dynasor.engines.endpoint import Endpoint
from dynasor.engines.openai_http import OpenAIEngine
from dynasor.engines.retrying import RetryPolicy
from dynasor.journal.journal import read_journal
from dynasor.journal.records import Landed, ProgramFinished, Record
from dynasor.programs.program import Setup
from dynasor.programs.prompt import PromptTemplate
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.programs.session import Session
from dynasor.request import Sampling
from dynasor.runtime.batch import Batch
from dynasor.runtime.in_flight import Limits
from dynasor.wiring import make_scheduler
from support.batches import plan_of
from support.process_groups import all_gone

pytestmark = [pytest.mark.vllm, pytest.mark.slow, pytest.mark.xdist_group("vllm")]

LIMIT_S = 600.0
"""For a start or a run; generous, for other work may share the machine."""
PROBLEMS, CAP, DETECT_AT = 16, 6, 3
ARGUMENTS = ("--scheduler-cls", "dynasor.vllm_plugin.ProgramScheduler", "--max-num-seqs", "8")


def options(log: Path, port: int = 0) -> ServerOptions:
    return ServerOptions(model=policy_folder(), log=log, arguments=ARGUMENTS, port=port)


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[VLLMServer]:
    if not ENVIRONMENT.exists() and not os.environ.get("CI"):
        pytest.skip(f"there is no {ENVIRONMENT.name}; make it with scripts/vllm-environment")
    server = VLLMServer(options(tmp_path / "victim.log"))
    try:
        yield server.start().wait_until_ready(LIMIT_S)
    finally:
        server.stop()


def session(problem: Problem) -> Session:
    """Programs of two rounds: what the plug-in knew of the first one dies with it."""
    prompt = PromptTemplate("{question}", "", chat=True)
    setup = Setup(cap=CAP, prompt=prompt, sampling=Sampling(temperature=0.8, max_tokens=256))
    return Session(SelfConsistency(problem, setup), InRounds(StaticThreshold(0.9, DETECT_AT)))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not condition():
            await WallClock().sleep(0.005)


async def test_programs_outlive_a_server_with_the_plugin(victim: VLLMServer, tmp_path: Path) -> None:
    problems = list(problem_set("words", limit=PROBLEMS))
    endpoint = Endpoint(victim.url, api="chat", priority="vllm-plugin", retries=RetryPolicy(retries=0))
    engine = OpenAIEngine(endpoint, environ={})
    limits = Limits(requests=1000, programs=PROBLEMS, outage_s=LIMIT_S)
    scheduler = lambda: make_scheduler("dynasor")[0]  # noqa: E731
    plan = plan_of(0, problems=problems, session=session, cap=CAP, limits=limits, scheduler=scheduler)
    batch = Batch(plan, engine, WallClock(), tmp_path / "out")
    seen: list[Record] = []
    batch.witness = seen.append
    running = asyncio.ensure_future(batch.run())
    await until(lambda: sum(isinstance(record, Landed) for record in seen) >= PROBLEMS)
    assert batch.request_count > 0, "some are on their way"
    group, port = victim.pid, victim.port
    assert group is not None
    os.killpg(group, signal.SIGKILL)
    assert await all_gone(group, LIMIT_S)
    before = sum(isinstance(record, Landed) for record in seen)
    await asyncio.to_thread(victim.stop)
    again = VLLMServer(options(tmp_path / "again.log", port))
    try:
        await asyncio.to_thread(lambda: again.start().wait_until_ready(LIMIT_S))
        await asyncio.wait_for(running, LIMIT_S)
        started = await asyncio.to_thread(again.metric, "dynasor:started_total")
    finally:
        await asyncio.to_thread(again.stop)
        await engine.close()

    assert batch.complete
    records = list(read_journal(tmp_path / "out" / "journal.jsonl"))
    landed = [record.completion for record in records if isinstance(record, Landed)]
    ended = [record for record in records if isinstance(record, ProgramFinished)]
    assert len({completion.id for completion in landed}) == len(landed), "none is served twice"
    assert all(completion.finish.is_whole for completion in landed)
    assert sorted(record.program for record in ended) == sorted(problem.id for problem in problems)
    assert all(DETECT_AT <= record.knob <= CAP and not record.failed_count for record in ended)
    assert sum(record.knob for record in ended) == len(landed)
    assert before < len(landed)
    assert started >= len(landed) - before, "the second server served what the first did not"
