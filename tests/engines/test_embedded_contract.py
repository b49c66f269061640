import threading
from collections.abc import Callable

import pytest

from dynasor.engines.builtin import policy_gguf
from dynasor.engines.embedded import EmbeddedEngine
from dynasor.engines.embedded_model import EmbeddedModel
from dynasor.engines.engine import Engine
from support.engine_contract import MakeRequest, ReportingContract
from support.live_engine import request

PROMPT = "Ben"  # what follows begins with a space, whatever it is


class TestEmbeddedContract(ReportingContract):
    """With a real model. It never comes to an end by itself here, so that a request runs for as long as it may."""

    @pytest.fixture
    def make_engine(self) -> Callable[[], Engine]:
        model = EmbeddedModel(policy_gguf(), slots=12, extra_body={"ignore_eos": True})
        return lambda: EmbeddedEngine(model)

    @pytest.fixture
    def answering(self) -> MakeRequest:
        return lambda index: request(PROMPT, index=index, stop=(" ",))

    @pytest.fixture
    def long_running(self) -> MakeRequest:
        return lambda index: request(PROMPT, index=index, max_tokens=900)

    @pytest.fixture
    def failing(self) -> MakeRequest:
        return lambda index: request(PROMPT * 1200, index=index)

    @pytest.fixture
    def growing(self) -> MakeRequest:
        return lambda index: request(PROMPT, index=index, max_tokens=20)

    async def test_close_ends_all_threads(self, make_engine: Callable[[], Engine], long_running: MakeRequest) -> None:
        before = set(threading.enumerate())
        engine = make_engine()
        await engine.check()
        for index in range(10):
            engine.submit(long_running(300 + index))
        await engine.close()
        assert set(threading.enumerate()) == before
        assert {completion.finish for completion in await engine.ready()} == {"cancelled"}
