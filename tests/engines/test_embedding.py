import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from dynasor.answers.extract import EXTRACTORS
from dynasor.engines.embedding import LONGEST_TEXT, Embedder
from dynasor.engines.embedding_builtin import BuiltinEmbeddings
from dynasor.engines.embedding_http import HttpEmbeddings
from dynasor.engines.endpoint import Endpoint
from dynasor.engines.engine import Engine
from dynasor.engines.holding import HoldingEngine
from dynasor.engines.openai_http import OpenAIEngine
from dynasor.engines.recorded import RecordedEngine
from dynasor.engines.retrying import RetryPolicy
from dynasor.errors import EngineError, MissingExtra, UnknownName, UsageError
from dynasor.request import Completion, Finish, ProgramId, Report, Request, RequestId, Sample, Sampling
from support.engine_contract import MakeRequest, ReportingContract, collect
from support.faulty_server import FaultyServer
from support.live_engine import LeapingClock, request, until

Vector = Sequence[float]


class Lengths:
    """Embeds a text as its length and its first character's code; refuses what it is told to."""

    def __init__(self, *refused: str, retryable: bool = False) -> None:
        self.calls: list[list[str]] = []
        self.refused, self.retryable = refused, retryable
        self.gate = asyncio.Event()
        self.gate.set()
        self.closed = False

    async def check(self) -> None:
        pass

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        self.calls.append(list(texts))
        await self.gate.wait()
        if set(self.refused) & set(texts):
            raise EngineError("too odd", retryable=self.retryable)
        return [(float(len(text)), float(ord(text[0]))) for text in texts]

    def embed_in_place(self, text: str) -> Vector:
        self.calls.append(["in place", text])
        return (float(len(text)), float(ord(text[0])))

    async def close(self) -> None:
        self.closed = True


class TestEmbedder:
    async def test_a_text_is_embedded_once_and_all_that_are_asked_for_together(self) -> None:
        model = Lengths()
        embedder = Embedder(model)
        await embedder.embed(["a", "bb", "a"])
        await embedder.embed(["bb", "ccc"])
        assert model.calls == [["a", "bb"], ["ccc"]]
        assert list(embedder.vector("bb")) == [2.0, 98.0]
        assert model.calls == [["a", "bb"], ["ccc"]]

    async def test_what_is_not_at_hand_is_computed_in_place(self) -> None:
        model = Lengths()
        embedder = Embedder(model)
        assert list(embedder.vector("a")) == list(embedder.vector("a")) == [1.0, 97.0]
        assert model.calls == [["in place", "a"]]

    async def test_no_call_asks_for_too_many(self) -> None:
        model = Lengths()
        await Embedder(model).embed([f"text {number}" for number in range(70)])
        assert [len(call) for call in model.calls] == [32, 32, 6]

    async def test_the_texts_that_were_longest_unused_are_forgotten(self) -> None:
        embedder = Embedder(Lengths(), cached_texts=2)
        await embedder.embed(["a", "b"])
        embedder.vector("a")
        await embedder.embed(["c"])
        assert [text in embedder for text in "abc"] == [True, False, True]

    async def test_texts_are_cut_and_made_whole(self) -> None:
        model = Lengths()
        await Embedder(model).embed(["x" * (LONGEST_TEXT + 1), "half \ud83d"])
        assert model.calls == [["x" * LONGEST_TEXT, "half ?"]]


BUILTIN = BuiltinEmbeddings()  # loaded when it is first needed


@pytest.mark.slow  # it loads the model
class TestBuiltin:
    async def test_the_same_text_has_the_same_embedding_beside_any_other(self) -> None:
        before = logging.getLogger().handlers[:], logging.getLogger().level
        await BUILTIN.check()
        assert (logging.getLogger().handlers, logging.getLogger().level) == before
        together = await BUILTIN.embed(["return x + 1", "some quite other and much longer text " * 20, ""])
        assert [len(vector) for vector in together] == [256] * 3
        assert BUILTIN.embed_in_place("return x + 1") == together[0]
        assert not any(together[2]), "what has no tokens has no direction"
        await BUILTIN.close()

    def test_what_says_the_same_is_nearer_than_what_does_not(self) -> None:
        def cosine(a: str, b: str) -> float:
            u, v = BUILTIN.embed_in_place(a), BUILTIN.embed_in_place(b)
            dot, one, other = (sum(p * q for p, q in zip(x, y, strict=True)) for x, y in ((u, v), (u, u), (v, v)))
            return float(dot / (one * other) ** 0.5)

        assert cosine("a large dog", "a big dog") > 0.8 > 0.5 > cosine("a large dog", "a large cat")

    def test_it_downloads_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise AssertionError("it asks the network")

        monkeypatch.setattr("socket.socket.connect", refuse)
        assert len(BuiltinEmbeddings().embed_in_place("hello there")) == 256

    def test_a_package_without_its_model_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("wordllama.__file__", "/nowhere/wordllama/__init__.py")
        with pytest.raises(UsageError, match="install it anew"):
            BuiltinEmbeddings().embed_in_place("hello")


async def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wordllama", None)
    with pytest.raises(MissingExtra, match=r"dynasor-serve\[semantic\]"):
        await BuiltinEmbeddings().check()


class EmbeddingServer:
    """Answers `/v1/embeddings` as `Lengths` does, after the answers that it is told to give first."""

    def __init__(self, *first: web.Response, models: Sequence[str] = ("tiny",)) -> None:
        self.first, self.models = list(first), models
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        app = web.Application()
        app.router.add_get("/v1/models", self.list)
        app.router.add_post("/v1/embeddings", self.embed)
        self.http = TestServer(app)

    async def list(self, _: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": name} for name in self.models]})

    async def embed(self, http: web.Request) -> web.Response:
        body = await http.json()
        self.bodies.append(body)
        self.keys.append(http.headers.get("Authorization"))
        if self.first:
            return self.first.pop(0)
        entries = [{"index": i, "embedding": [len(text), ord(text[0])]} for i, text in enumerate(body["input"])]
        return web.json_response({"data": entries[::-1]})


def refusal(status: int, told: str = "told to fail") -> web.Response:
    return web.json_response({"error": {"message": told}}, status=status)


Serve = Callable[..., Any]


@pytest.fixture
async def serve(clock: LeapingClock) -> AsyncIterator[Serve]:
    closing: list[Callable[[], Any]] = []

    async def make(
        *first: web.Response, models: Sequence[str] = ("tiny",), environ: dict[str, str] | None = None, **settings: Any
    ) -> tuple[EmbeddingServer, HttpEmbeddings]:
        server = EmbeddingServer(*first, models=models)
        await server.http.start_server()
        endpoint = replace(Endpoint(str(server.http.make_url("/"))), **settings)
        model = HttpEmbeddings(endpoint, clock=clock, environ=environ or {})
        closing.extend((model.close, server.http.close))
        return server, model

    yield make
    for close in closing:
        await close()


class TestHttp:
    async def test_embeddings_come_in_the_order_of_their_texts(self, serve: Serve) -> None:
        server, model = await serve(environ={"OPENAI_API_KEY": "secret-0123456789"}, extra_body={"dimensions": 2})
        await model.check()
        assert await model.embed(["a", "bb"]) == [[1.0, 97.0], [2.0, 98.0]]
        asked = server.bodies[-1]
        assert asked == {"input": ["a", "bb"], "encoding_format": "float", "model": "tiny", "dimensions": 2}
        assert set(server.keys) == {"Bearer secret-0123456789"}
        assert "secret" not in repr(model)

    async def test_passing_faults_are_tried_again(self, serve: Serve, clock: LeapingClock) -> None:
        server, model = await serve(refusal(503), refusal(429))
        assert await model.embed(["a"]) == [[1.0, 97.0]]
        assert (len(server.bodies), len(clock.waits)) == (3, 2)

    @pytest.mark.parametrize(("status", "retryable", "count"), [(400, False, 1), (401, True, 1), (503, True, 5)])
    async def test_lasting_faults_are_told(self, serve: Serve, status: int, retryable: bool, count: int) -> None:
        server, model = await serve(*(refusal(status) for _ in range(9)))
        with pytest.raises(EngineError, match=f"{status} told to fail") as told:
            await model.embed(["a"])
        assert (told.value.retryable, len(server.bodies)) == (retryable, count)

    async def test_retries_have_a_budget(self, serve: Serve) -> None:
        retries = RetryPolicy(budget_floor=1)
        server, model = await serve(*(refusal(503) for _ in range(9)), retries=retries)
        with pytest.raises(EngineError, match="tried 2 times"):
            await model.embed(["a"])
        assert len(server.bodies) == 2

    @pytest.mark.parametrize("body", [b"<html>", b'{"data": []}', b'{"data": [{"index": 0}]}'])
    async def test_what_is_no_answer(self, serve: Serve, body: bytes) -> None:
        answers = (web.Response(body=body, content_type="application/json") for _ in range(9))
        _, model = await serve(*answers)
        with pytest.raises(EngineError, match=r"not valid|0 embeddings for 1 texts"):
            await model.embed(["a"])

    async def test_in_place_it_asks_from_a_loop_of_its_own(self, serve: Serve) -> None:
        server, model = await serve()
        assert await asyncio.to_thread(model.embed_in_place, "bb") == [2.0, 98.0]
        assert len(server.bodies) == 1

    async def test_in_place_it_may_be_asked_within_a_running_loop(self, serve: Serve) -> None:
        server, model = await serve(retries=RetryPolicy(retries=0))
        await server.http.close()
        with pytest.raises(EngineError, match=r"[Cc]onnect") as told:
            model.embed_in_place("bb")
        assert told.value.retryable

    async def test_a_server_without_embeddings_is_found_at_once(self, serve: Serve) -> None:
        _, model = await serve(refusal(404, "no such path"))
        with pytest.raises(UsageError, match=r"gives no embeddings: 404 no such path; is there an embedding model\?"):
            await model.check()

    @pytest.mark.parametrize("first", [refusal(400), web.Response(body=b'{"data": []}')])
    async def test_a_server_that_is_out_of_order_is_found_at_once(self, serve: Serve, first: web.Response) -> None:
        _, model = await serve(first)
        with pytest.raises(EngineError, match=r"400 told to fail|0 embeddings for 1 texts"):
            await model.check()

    async def test_the_model_is_the_one_that_there_is_or_the_one_that_is_named(self, serve: Serve) -> None:
        _, several = await serve(models=("one", "two"))
        with pytest.raises(UsageError, match="has 2 models; name one of them: one, two"):
            await several.check()
        _, wrong = await serve(models=("one", "two"), model="three")
        with pytest.raises(UnknownName, match="unknown model 'three'"):
            await wrong.check()
        server, named = await serve(models=("one", "two"), model="two")
        await named.check()
        assert server.bodies[0]["model"] == "two"
        silent, nameless = await serve(models=())
        await nameless.check()
        assert "model" not in silent.bodies[0]


def text_of(completion: Completion) -> str | None:
    return completion.recorded.answer if completion.recorded else completion.text


def recorded(*answers: str | None) -> RecordedEngine:
    return RecordedEngine({"p": tuple(Sample(answer, tokens=5) for answer in answers)})


def start(engine: Engine, count: int) -> None:
    for index in range(count):
        engine.submit(Request(RequestId(ProgramId("p"), index), "?", Sampling()))


class TestContract(ReportingContract):
    @pytest.fixture
    def make_engine(self, server: FaultyServer) -> Callable[[], Engine]:
        def make() -> Engine:
            inner = OpenAIEngine(Endpoint(server.url, "tiny", max_connections=32), environ={})
            extract = EXTRACTORS["auto"]
            return HoldingEngine(inner, Embedder(Lengths()), lambda completion: extract(completion.text))

        return make

    @pytest.fixture
    def answering(self) -> MakeRequest:
        return lambda index: request(f"question {index}", index=index)

    @pytest.fixture
    def long_running(self) -> MakeRequest:
        return lambda index: request("[[fault: hang=3]]", index=index)

    @pytest.fixture
    def failing(self) -> MakeRequest:
        return lambda index: request("[[fault: status=422 message=no]]", index=index)

    @pytest.fixture
    def growing(self) -> MakeRequest:
        return lambda index: request("[[fault: tokens=20]]", index=index)


class TestEngine:
    async def test_answers_are_at_hand_when_they_land(self) -> None:
        model = Lengths()
        embedder = Embedder(model)
        engine = HoldingEngine(recorded("a", "bb", None, "a"), embedder, text_of)
        await engine.check()
        start(engine, 5)
        ended = await collect(engine, 5)
        assert [completion.finish for completion in ended] == [Finish.STOP] * 4 + [Finish.FAILED]
        assert model.calls == [["a", "bb"]], "together, and each once"
        assert "a" in embedder
        assert "bb" in embedder

    async def test_what_was_cut_is_not_embedded(self) -> None:
        model = Lengths()
        engine = HoldingEngine(recorded("a"), Embedder(model), text_of)
        start(engine, 1)
        engine.cancel(RequestId(ProgramId("p"), 0))
        (completion,) = await engine.ready()
        assert completion.finish is Finish.CANCELLED
        assert model.calls == []

    async def test_only_the_answer_that_is_to_blame_fails(self) -> None:
        engine = HoldingEngine(recorded("a", "odd", None, "b", "odd"), Embedder(Lengths("odd")), text_of)
        start(engine, 5)
        ended = await collect(engine, 5)
        assert [completion.finish is Finish.FAILED for completion in ended] == [False, True, False, False, True]
        failed = ended[1]
        assert (failed.error, failed.retryable, failed.tokens) == ("no embedding: too odd", False, 5)

    async def test_an_outage_leaves_all_to_a_resume(self) -> None:
        model = Lengths("a", retryable=True)
        engine = HoldingEngine(recorded("a", "b"), Embedder(model), text_of)
        start(engine, 2)
        assert all(completion.retryable for completion in await collect(engine, 2))
        assert model.calls == [["a", "b"]], "it is not asked again and again"

    async def test_who_leaves_half_way_loses_nothing(self) -> None:
        model = Lengths()
        model.gate.clear()
        engine = HoldingEngine(recorded("a"), Embedder(model), text_of)
        start(engine, 1)
        waiting = asyncio.ensure_future(engine.ready())
        await until(lambda: bool(model.calls))
        waiting.cancel()
        await asyncio.wait([waiting])
        model.gate.set()
        assert [completion.finish for completion in await engine.ready()] == [Finish.STOP]

    async def test_an_engine_that_does_not_report_has_no_reports(self) -> None:
        engine = HoldingEngine(recorded("a"), Embedder(Lengths()), text_of)
        assert engine.take_reports() == list[Report]()
        assert isinstance(engine.engine, RecordedEngine)

    async def test_closing_closes_both_and_embeds_no_more(self) -> None:
        model = Lengths()
        engine = HoldingEngine(recorded("a"), Embedder(model), text_of)
        start(engine, 1)
        model.gate.clear()
        waiting = asyncio.ensure_future(engine.ready())
        await until(lambda: bool(model.calls))
        waiting.cancel()
        await asyncio.wait([waiting])
        await engine.close()
        assert model.closed
        assert [completion.finish for completion in await engine.ready()] == [Finish.STOP]
        assert len(model.calls) == 1
