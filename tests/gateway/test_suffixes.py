"""Models by the names of algorithms: which there are, and what is told of those that there are not."""

import openai
import pytest

from dynasor.engines.endpoint import Endpoint
from dynasor.engines.openai_http import OpenAIEngine
from dynasor.launch.reasoning import algorithm_names
from support.gateways import QUESTION, Recorder, faulty, gateway, serving_at
from support.raw_http import ask, completion, request


async def test_models_are_listed_with_every_algorithm() -> None:
    async with faulty() as (url, _), gateway(f"{url}/serving/a,b/v1") as here:
        async with openai.AsyncOpenAI(base_url=f"{here.url}/v1", api_key="none", max_retries=0) as client:
            names = [model.id async for model in client.models.list()]
            one = await client.models.retrieve("a@sc")
        assert names[:2] == ["a", "b"], "the models themselves first"
        assert set(names[2:]) == {f"{model}@{name}" for model in "ab" for name in algorithm_names()}
        assert len(names) == 2 + 2 * len(algorithm_names())
        assert (one.id, one.owned_by, one.model_dump()["parent"]) == ("a@sc", "dynasor", "a")
        assert (await ask(here.port, request("GET", "/v1/models/a@nonsense"))).status == 404


async def test_the_list_may_be_kept_short() -> None:
    async with faulty() as (url, _), gateway(f"{url}/v1", reasoning={"listed": False}) as here:
        listed = (await ask(here.port, request("GET", "/v1/models"))).json["data"]
        assert [model["id"] for model in listed] == ["tiny"]
        assert (await ask(here.port, completion({**QUESTION, "model": "tiny@sc:cap=2"}))).json["dynasor"]["cap"] == 2


@pytest.mark.parametrize("model", ["tiny@nonsense", "tiny@nonsense:cap=3", "other@nonsense", "tiny@", "tiny@SC", "@sc"])
async def test_an_algorithm_that_is_not_known_is_refused_and_the_known_are_named(model: str) -> None:
    recorder = Recorder()
    async with serving_at(recorder.app()) as url, gateway(url) as here:
        refused = await ask(here.port, completion({**QUESTION, "model": model}))
    assert (refused.status, refused.error["code"], refused.error["param"]) == (404, "model_not_found", "model")
    assert all(name in refused.error["message"] for name in ("sc", "mcts", "probed-cot", "/v1/models"))
    assert recorder.requests == []


async def test_a_model_that_a_backend_lists_by_that_name_is_asked() -> None:
    async with faulty() as (url, app), gateway(f"{url}/serving/claude@2,tiny@sc,tiny/v1") as here:
        for model in ("claude@2", "tiny@sc"):
            passed_on = await ask(here.port, completion({**QUESTION, "model": model}))
            assert passed_on.body == b"404: Not Found", "in the backend's own words: it has nothing there"
        assert app.ledger.received == []
        listed = (await ask(here.port, request("GET", "/v1/models"))).json["data"]
    names = [model["id"] for model in listed]
    assert len(names) == len(set(names))
    assert "tiny@sc@sc" not in names, "as where one gateway stands before another"
    assert "claude@2@sc" in names


async def test_where_nobody_tells_models_the_backend_judges_the_name() -> None:
    async with faulty() as (url, app), gateway(f"{url}/v1") as here:
        here.serving.backends.all[0].models = {}
        assert (await ask(here.port, completion({**QUESTION, "model": "tiny@v2"}))).status == 200
    assert len(app.ledger.received) == 1


async def test_an_engine_takes_the_model_itself_where_no_other_is_named() -> None:
    async with faulty() as (url, _), gateway(f"{url}/v1") as here:
        engine = OpenAIEngine(Endpoint(f"{here.url}/v1"), environ={})
        await engine.check()
        assert engine.model == "tiny"
        await engine.close()
