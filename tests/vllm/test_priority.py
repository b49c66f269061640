"""A vLLM server that orders what waits by what each request's program needs yet."""

import asyncio
from collections.abc import Iterator

import pytest

from dynasor.bench.vllm_options import ENVIRONMENT, ServerOptions
from dynasor.bench.vllm_server import VLLMServer
from dynasor.clock import WallClock
from dynasor.engines.builtin import policy_folder
from dynasor.engines.endpoint import Endpoint
from dynasor.engines.openai_http import OpenAIEngine
from dynasor.request import Completion, ProgramId, Request, RequestId, Sampling
from support.live_engine import PATIENT

pytestmark = [pytest.mark.vllm, pytest.mark.slow, pytest.mark.xdist_group("vllm")]

START_S = 300.0
REMAINING = (900, 100, 500, 300)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VLLMServer]:
    """It answers one request at a time, and the others wait in its queue."""
    if not ENVIRONMENT.exists():
        pytest.skip(f"there is no {ENVIRONMENT.name}; make it with scripts/vllm-environment")
    log = tmp_path_factory.mktemp("vllm") / "priority.log"
    arguments = ("--scheduling-policy", "priority", "--max-num-seqs", "1")
    server = VLLMServer(ServerOptions(model=policy_folder(), log=log, core=1, arguments=arguments)).start()
    try:
        server.wait_until_ready(START_S)
        yield server
    finally:
        server.stop()


def asked(remaining: int, max_tokens: int) -> Request:
    id = RequestId(ProgramId(f"needs {remaining}"), 0)
    return Request(id, "How many?", Sampling(max_tokens=max_tokens), remaining_tokens=remaining)


async def waiting(server: VLLMServer) -> float:
    return await asyncio.to_thread(server.metric, "vllm:num_requests_waiting")


async def test_the_shortest_program_is_answered_first(server: VLLMServer) -> None:
    endpoint = Endpoint(server.url, extra_body={"ignore_eos": True}, priority="vllm", timeouts=PATIENT)
    engine = OpenAIEngine(endpoint, environ={})
    ended: list[Completion] = []
    try:
        engine.submit(asked(0, 900))
        for remaining in REMAINING:
            engine.submit(asked(remaining, 5))
        async with asyncio.timeout(600):
            while await waiting(server) < len(REMAINING):
                await WallClock().sleep(0.01)
        async with asyncio.timeout(600):
            while len(ended) <= len(REMAINING):
                ended += await engine.ready()
    finally:
        await engine.close()
    assert [completion.id.program for completion in ended] == [f"needs {n}" for n in (0, *sorted(REMAINING))]
