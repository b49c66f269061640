"""The live runs of the study of algorithms: the engines that answer, and each arm as an ordinary durable run."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dynasor.bench.algorithm_arms import Arm
from dynasor.bench.algorithm_study import PROBLEMS, AlgorithmPlan, expected_s, pending
from dynasor.bench.engine_backends import START_S, VERSIONS
from dynasor.bench.engine_speed import Asker, tokens_per_s
from dynasor.bench.vllm_options import ServerOptions
from dynasor.bench.vllm_server import VLLMServer
from dynasor.clock import WallClock
from dynasor.datasets.problem_sets import problem_set
from dynasor.engines.builtin import REWARD_END, policy_folder, reward_folder
from dynasor.engines.embedded import EmbeddedEngine
from dynasor.engines.embedded_model import EmbeddedModel
from dynasor.engines.endpoint import Endpoint
from dynasor.engines.openai_http import OpenAIEngine
from dynasor.launch.launch import arun
from dynasor.request import Message, Prompt

Tell = Callable[[str], None]
Asked = Mapping[str, Any]
"""What a run is asked for that depends on the engine; `reward` only where a reward model is to score."""

_WINDOW_S = 5.0


@contextmanager
def _embedded() -> Iterator[Asked]:
    """Eight slots: more are slower (docs/decisions/embedded-engine.md). Some more requests keep them busy."""
    VERSIONS["embedded"]()
    yield {"model": EmbeddedModel(Path("builtin"), slots=8), "concurrency": 16, "reward": "builtin"}


@contextmanager
def _vllm() -> Iterator[Asked]:
    """A policy and a reward model, each in a server with a core of its own."""
    VERSIONS["vllm"]()
    with TemporaryDirectory() as folder, ExitStack() as stack:
        policy = ServerOptions(model=policy_folder(), log=Path(folder) / "policy.log", core=0)
        log = Path(folder) / "reward.log"
        scoring = ServerOptions(model=reward_folder(), log=log, runner="pooling", core=1)
        servers = [VLLMServer(options) for options in (policy, scoring)]
        for server in servers:
            stack.callback(server.stop)
            server.start()
        answers, scores = (server.wait_until_ready(START_S) for server in servers)
        reward = f"{scores.url},end={REWARD_END}"
        yield {"endpoint": Endpoint(answers.url), "prompt": "{question}", "concurrency": 64, "reward": reward}


SERVING: Mapping[str, Callable[[], AbstractContextManager[Asked]]] = {"embedded": _embedded, "vllm": _vllm}


def run_arms(plan: AlgorithmPlan, tell: Tell) -> None:
    """Run what is left, engine by engine; say beforehand how long it should take.

    Raises:
        UsageError: an engine cannot be started here, or a journal belongs to another study.
        EngineError: it failed at its work; the same call goes on from there.
    """
    clock = WallClock()
    for engine in plan.arms:
        if not (arms := pending(plan, engine)):
            continue
        tell(f"{engine}: starting; {len(arms)} of {len(plan.arms[engine])} arms are left")
        with SERVING[engine]() as asked:
            speed = asyncio.run(_speed(asked))
            tell(f"{engine}: {speed:,.0f} tokens/s, so about {_minutes(expected_s(arms, plan.problems, speed))}")
            for place, arm in enumerate(arms):
                before = clock.now()
                asyncio.run(_run(plan, engine, arm, asked))
                left = expected_s(arms[place + 1 :], plan.problems, speed)
                tell(f"{engine}: {arm.name} took {clock.now() - before:.0f} s; about {_minutes(left)} left")


async def _run(plan: AlgorithmPlan, engine: str, arm: Arm, asked: Asked) -> None:
    """Ask for one run."""
    given = {name: value for name, value in asked.items() if name != "reward" or arm.rewarded}
    await arun(
        problems=PROBLEMS,
        limit=plan.problems,
        algorithm=arm.algorithm,
        policy=arm.policy,
        cap=arm.cap,
        scorer=arm.scorer,
        sampling=arm.sampling,
        thinking=arm.thinking,
        seed=plan.seed,
        out=plan.journals.run(engine, arm.name),
        **given,
    )


async def _speed(asked: Asked) -> float:
    """Tokens a second of plain branches."""
    answering = EmbeddedEngine(asked["model"]) if "model" in asked else OpenAIEngine(asked["endpoint"])
    prompts: list[Prompt] = [(Message("user", problem.question),) for problem in problem_set(PROBLEMS, limit=100)]
    await answering.check()
    try:
        return await tokens_per_s(answering, WallClock(), Asker(cycle(prompts)), asked["concurrency"], _WINDOW_S)
    finally:
        await answering.close()


def _minutes(duration_s: float) -> str:
    return f"{duration_s / 60:.0f} minutes" if duration_s >= 90 else f"{duration_s:.0f} s"
