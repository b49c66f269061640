"""The contract of all engines, kept by the live engine at a real server, on both of its routes."""

from collections.abc import Callable

import pytest

from dynasor.bench.vllm_server import VLLMServer
from dynasor.engines.endpoint import Api, Endpoint
from dynasor.engines.engine import Engine
from dynasor.engines.openai_http import OpenAIEngine
from support.engine_contract import EngineContract, MakeRequest, ReportingContract
from support.live_engine import PATIENT, request

pytestmark = [pytest.mark.vllm, pytest.mark.slow, pytest.mark.xdist_group("vllm")]


class LiveContract(EngineContract):
    """The model may not end an answer itself: what ends soon ends by a stop string, what runs long by nothing."""

    api: Api = "completions"
    stream = True

    @pytest.fixture
    def make_engine(self, policy_server: VLLMServer) -> Callable[[], Engine]:
        body = {"ignore_eos": True}
        endpoint = Endpoint(policy_server.url, api=self.api, stream=self.stream, extra_body=body, timeouts=PATIENT)
        return lambda: OpenAIEngine(endpoint, environ={})

    @pytest.fixture
    def answering(self) -> MakeRequest:
        return lambda index: request(
            f"Tom has {index} apples. He buys 4 more. How many apples does Tom have now?",
            index=index,
            temperature=0.0,
            stop=(" ", "\n"),
            max_tokens=16,  # it takes two
        )

    @pytest.fixture
    def long_running(self) -> MakeRequest:
        return lambda index: request("How many?", index=index, max_tokens=60_000)

    @pytest.fixture
    def failing(self) -> MakeRequest:
        return lambda index: request("How many?", index=index, max_tokens=100_000)


class TestCompletionsContract(LiveContract, ReportingContract):
    @pytest.fixture
    def growing(self) -> MakeRequest:
        return lambda index: request("How many?", index=index, max_tokens=20)


class TestChatContract(TestCompletionsContract):
    api = "chat"


class TestWholeContract(LiveContract):
    stream = False
