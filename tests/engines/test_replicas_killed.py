"""Real servers over real sockets, killed, stopped and started again while they work."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

import dynasor
from dynasor.clock import WallClock
from dynasor.engines.endpoint import Endpoint
from dynasor.engines.openai_http import OpenAIEngine
from dynasor.engines.replica_breaker import BreakerState
from dynasor.engines.replica_policy import ReplicaPolicy
from dynasor.engines.replicas import ReplicatedEngine
from dynasor.engines.retrying import RetryPolicy
from dynasor.journal.journal import read_journal
from dynasor.journal.records import Landed, ProgramFinished
from dynasor.request import Finish
from support.engine_contract import collect
from support.faulty_app import answer_text
from support.faulty_server import FaultyServer
from support.live_engine import request

pytestmark = pytest.mark.slow

TOKEN_S = 0.03
QUICK = ReplicaPolicy(failures=2, open_s=0.1, check_every_s=0.1, check_limit_s=3.0, patience_s=120.0)
PROBLEMS, CAP = 12, 5


@pytest.fixture
def pair() -> Iterator[tuple[FaultyServer, FaultyServer]]:
    with FaultyServer(token_delay_s=TOKEN_S) as one, FaultyServer(token_delay_s=TOKEN_S) as other:
        yield one, other


Make = Callable[..., ReplicatedEngine]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    engines: list[ReplicatedEngine] = []

    def made(*servers: FaultyServer) -> ReplicatedEngine:
        few = RetryPolicy(retries=0)
        named = [(each.url, OpenAIEngine(Endpoint(each.url, "tiny", retries=few), environ={})) for each in servers]
        engines.append(ReplicatedEngine(named, policy=QUICK))
        return engines[-1]

    yield made
    for engine in engines:
        await engine.close()


def send(server: FaultyServer, number: signal.Signals) -> None:
    assert server._process is not None
    server._process.send_signal(number)
    if number is signal.SIGKILL:
        server._process.wait(60)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not condition():
            await WallClock().sleep(0.005)


def at(engine: ReplicatedEngine, index: int) -> int:
    return engine.states[index].in_flight


async def test_a_batch_loses_no_program_and_answers_as_without_the_kill(
    pair: tuple[FaultyServer, FaultyServer], tmp_path: Path
) -> None:
    rows = [f'{{"question": "{index} + 1?", "answer": "{index + 1}"}}\n' for index in range(PROBLEMS)]
    (tmp_path / "problems.jsonl").write_text("".join(rows))

    async def answers(out: str) -> tuple[dict[str, str | None], int]:
        await dynasor.arun(
            problems=tmp_path / "problems.jsonl",
            endpoint=[server.url for server in pair],
            cap=CAP,
            policy="even",
            seeded_requests=True,
            out=tmp_path / out,
        )
        records = list(read_journal(tmp_path / out / "journal.jsonl"))
        landed = [record.completion for record in records if isinstance(record, Landed)]
        assert len({completion.id for completion in landed}) == len(landed) == PROBLEMS * CAP
        assert {completion.finish for completion in landed} == {Finish.STOP}
        ended = [record for record in records if isinstance(record, ProgramFinished)]
        return {record.program: record.answer for record in ended}, sum(record.tokens for record in ended)

    undisturbed, tokens = await answers("undisturbed")
    counted = [(await asyncio.to_thread(server.stats)).requests for server in pair]
    assert min(counted) >= PROBLEMS * CAP / 4, "both take their part"
    victim = pair[1]
    await asyncio.to_thread(victim.reset)
    run = asyncio.ensure_future(answers("killed"))
    await asyncio.to_thread(victim.stats, requests=counted[1])
    send(victim, signal.SIGKILL)
    killed, tokens_with_losses = await run
    assert killed == undisturbed
    assert len(killed) == PROBLEMS
    assert tokens_with_losses >= tokens, "what was lost is counted"
    assert (await asyncio.to_thread(pair[0].stats)).requests > 2 * counted[0], "and asked of the other one"


async def test_a_silent_server_loses_its_requests_to_another(
    pair: tuple[FaultyServer, FaultyServer], make: Make
) -> None:
    engine = make(*pair)
    await engine.check()
    prompt = "[[fault: tokens=100]]"
    engine.submit(request(prompt, report_every=5))
    async with asyncio.timeout(120):
        while not (reports := engine.take_reports()):
            await engine.ready()
    send(pair[0], signal.SIGSTOP)
    try:
        (ended,) = await collect_whole(engine, 1)
        silent = engine.states[0]
        assert (silent.state, silent.lost_count) == (BreakerState.OPEN, 1)
        assert silent.fault == f"no answer to a health check within {QUICK.check_limit_s:g} s"
        assert ended.finish is Finish.STOP
        assert ended.text.startswith(reports[-1].text)
        assert (ended.tokens or 0) > 100, "and what the silent one had generated"
    finally:
        send(pair[0], signal.SIGCONT)


async def collect_whole(engine: ReplicatedEngine, count: int) -> list[dynasor.Completion]:
    ended: list[dynasor.Completion] = []
    async with asyncio.timeout(120):
        while len(ended) < count:
            ended += await engine.ready()
            engine.take_reports()
    return ended


async def test_all_are_killed_and_one_is_started_again(pair: tuple[FaultyServer, FaultyServer], make: Make) -> None:
    engine = make(*pair)
    await engine.check()
    prompts = {index: f"[[fault: tokens=40]] {index}" for index in range(8)}
    for index, prompt in prompts.items():
        engine.submit(request(prompt, index=index, seed=index))
    await until(lambda: at(engine, 0) == 8)
    for server in pair:
        send(server, signal.SIGKILL)
    await until(lambda: engine.waiting_count == 8)
    await until(lambda: all(state.state is BreakerState.OPEN for state in engine.states))
    port = int(pair[1].url.rpartition(":")[2])
    with FaultyServer(port=port, token_delay_s=TOKEN_S) as reborn:
        ended = await collect(engine, 8)
        assert [c.text for c in ended] == [answer_text(prompt, index, 36) for index, prompt in prompts.items()]
        assert engine.states[1].state is BreakerState.CLOSED
        assert (await asyncio.to_thread(reborn.stats)).answered == 8
