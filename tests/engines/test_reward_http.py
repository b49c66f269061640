import asyncio
import random
from collections.abc import AsyncIterator, Callable
from math import exp, isnan, nan
from typing import Any

import pytest

from dynasor.engines.endpoint import Endpoint
from dynasor.engines.retrying import RetryPolicy
from dynasor.engines.reward_http import HttpRewardModel
from dynasor.engines.reward_queue import MOST_TEXTS
from dynasor.engines.reward_wire import RewardForm
from dynasor.engines.rewarding import RewardedEngine
from dynasor.errors import EngineError, UnknownName, UsageError
from dynasor.request import Completion, Finish, Message, ProgramId, Prompt, Request, RequestId, Sampling
from support.engine_contract import collect
from support.live_engine import LeapingClock, until
from support.reward_app import RewardApp, serving
from support.reward_models import ToldEngine

CHAT = (Message("system", "Be exact."), Message("user", "1 + 1 ="))
BEGUN = (*CHAT, Message("assistant", "first\n\nsecond\n"))
CANARY = "sk-canary-0123456789"
Make = Callable[..., HttpRewardModel]


@pytest.fixture
def app() -> RewardApp:
    return RewardApp()


@pytest.fixture
async def make(app: RewardApp, clock: LeapingClock) -> AsyncIterator[Make]:
    """Make reward models at the server, in some form; they are closed in the end."""
    made: list[HttpRewardModel] = []
    async with serving(app) as url:

        def start(
            *, model: str | None = "judge", key: str = "", retries: RetryPolicy | None = None, at: str = "", **form: Any
        ) -> HttpRewardModel:
            endpoint = Endpoint(url + at, model, stream=False, retries=retries or RetryPolicy())
            environ = {"OPENAI_API_KEY": key}
            rng = random.Random(0)
            made.append(HttpRewardModel(endpoint, RewardForm(**form), clock=clock, rng=rng, environ=environ))
            return made[-1]

        yield start
        for model in made:
            await model.close()


class TestWhatIsAsked:
    @pytest.mark.parametrize("api", ["classify", "pooling"])
    async def test_plain_texts_go_together(self, make: Make, app: RewardApp, api: str) -> None:
        assert await make(api=api).score(["one", "three", "fifteen"]) == [0.003, 0.005, 0.007]
        assert app.asked == [(f"/{api}", {"model": "judge", "input": ["one", "three", "fifteen"]})]

    @pytest.mark.parametrize("at", ["", "/v1", "/v1/"])
    async def test_with_or_without_v1(self, make: Make, app: RewardApp, at: str) -> None:
        await make(at=at).score(["one"])
        await make(at=at, api="score").score([BEGUN])
        assert [path for path, _ in app.asked] == ["/classify", "/v1/score"]

    async def test_conversations_go_one_by_one_and_stay_open(self, make: Make, app: RewardApp) -> None:
        scores = await make().score([BEGUN, "plain", CHAT])
        assert scores == [(9 + 7 + 14) / 1000, 0.005, (9 + 7) / 1000]
        assert app.asked[0] == ("/classify", {"model": "judge", "input": ["plain"]})
        turns = [{"role": turn.role, "content": turn.content} for turn in BEGUN]
        going_on = {"model": "judge", "messages": turns, "continue_final_message": True, "add_generation_prompt": False}
        fresh = {**going_on, "messages": turns[:2], "continue_final_message": False, "add_generation_prompt": True}
        assert sorted(len(body["messages"]) for _, body in app.asked[1:]) == [2, 3]
        assert going_on in [body for _, body in app.asked]
        assert fresh in [body for _, body in app.asked]

    async def test_question_and_solution_apart(self, make: Make, app: RewardApp) -> None:
        await make(api="score").score([BEGUN, CHAT])
        question = "Be exact.\n\n1 + 1 ="
        body = {"model": "judge", "text_1": [question, question], "text_2": ["first\n\nsecond\n", ""]}
        assert app.asked == [("/v1/score", body)]

    async def test_step_tags_end_the_steps_of_the_solution(self, make: Make, app: RewardApp) -> None:
        await make(step_tag="<extra_0>").score([BEGUN])
        said = [turn["content"] for turn in app.asked[0][1]["messages"]]
        assert said == ["Be exact.", "1 + 1 =", "first<extra_0>second<extra_0>"]

    @pytest.mark.parametrize(
        ("form", "wanted_by"), [({"api": "score"}, "the score api"), ({"step_tag": "<t>"}, "a step tag")]
    )
    async def test_plain_text_where_a_solution_is_wanted(
        self, make: Make, app: RewardApp, form: dict[str, Any], wanted_by: str
    ) -> None:
        with pytest.raises(EngineError, match=f"^{wanted_by} needs conversations, .*; these prompts are plain text$"):
            await make(**form).score(["plain"])
        assert app.asked == []

    async def test_nothing(self, make: Make, app: RewardApp) -> None:
        assert await make().score([]) == []
        assert app.asked == []

    async def test_the_key_is_sent(self, make: Make, app: RewardApp) -> None:
        await make(key=CANARY).score(["one"])
        await make().score(["one"])
        assert app.authorizations == [f"Bearer {CANARY}", None]


def logistic(raw: float) -> float:
    return 1 / (1 + exp(-raw))


class TestFigures:
    @pytest.mark.parametrize("api", ["classify", "pooling", "score"])
    async def test_raw_figures_are_squashed_where_that_is_asked_for(self, make: Make, app: RewardApp, api: str) -> None:
        scores = await make(api=api, squash=True).score([BEGUN])
        raw = sum(len(turn.content) for turn in BEGUN) - 10 + 2 * (api == "score")  # its question holds a blank line
        assert scores == [logistic(raw)]
        assert app.asked[0][1]["use_activation"] is False

    @pytest.mark.parametrize(
        ("api", "figures", "form", "score"),
        [
            ("classify", [0.25, 0.75], {}, 0.75),
            ("pooling", [0.25, 0.75], {}, 0.75),
            ("pooling", [[0.5], [0.25], [0.5]], {}, 0.5),
            ("pooling", [[0.5, 0.5], [0.75, 0.25]], {}, 0.25),
            ("pooling", [[0.5], [0.25], [0.5]], {"reduce": "minimum"}, 0.25),
            ("pooling", [[0.5], [0.25], [0.75]], {"reduce": "mean"}, 0.5),
            ("pooling", [[0.5], [0.25], [0.5]], {"reduce": "product"}, 0.0625),
            ("pooling", [[2.0], [0.0]], {"squash": True}, 0.5),
            ("pooling", [None], {}, nan),
            ("pooling", [[0.5], [None]], {}, nan),
            ("classify", [None], {"squash": True}, nan),
            ("pooling", [1], {}, 1.0),
        ],
    )
    async def test_what_counts(
        self, make: Make, app: RewardApp, api: str, figures: object, form: dict[str, Any], score: float
    ) -> None:
        app.figures = lambda _: figures
        (given,) = await make(api=api, **form).score(["text"])
        assert given == score or (isnan(given) and isnan(score))

    @pytest.mark.parametrize(
        ("api", "figures", "told"),
        [
            ("pooling", [], r"the reward model gave no figure for a text; name what ends a step by step_tag=\.\.\."),
            ("pooling", [[]], "the reward model gave no figure for a text"),
            ("classify", [], "the reward model gave no figure for a text"),
        ],
    )
    async def test_no_figure(self, make: Make, app: RewardApp, api: str, figures: object, told: str) -> None:
        app.figures = lambda _: figures
        with pytest.raises(EngineError, match=f"^{told}$") as raised:
            await make(api=api).score(["text"])
        assert not raised.value.retryable

    async def test_too_few_figures(self, make: Make, app: RewardApp) -> None:
        app.planned.append((200, b'{"data": [{"index": 0, "probs": [0.5]}]}', {}))
        with pytest.raises(EngineError, match=r"^the reward model gave 1 figures for 2 texts$"):
            await make().score(["one", "two"])


class TestFaults:
    @pytest.mark.parametrize("status", [429, 503])
    async def test_an_overload_is_waited_out(
        self, make: Make, app: RewardApp, clock: LeapingClock, status: int
    ) -> None:
        app.refuse(status, **{"Retry-After": "7"})
        app.refuse(status)
        assert await make().score(["one"]) == [0.003]
        assert len(app.asked) == 3
        assert clock.waits[0] >= 7

    async def test_an_outage_that_does_not_end(self, make: Make, app: RewardApp, clock: LeapingClock) -> None:
        for _ in range(3):
            app.refuse(503, f"no room for {CANARY}")
        with pytest.raises(EngineError, match=r"^503 no room for \[key\] \(tried 3 times\)$") as raised:
            await make(key=CANARY, retries=RetryPolicy(retries=2)).score(["one"])
        assert (raised.value.retryable, len(app.asked), len(clock.waits)) == (True, 3, 2)

    async def test_a_refusal_is_final(self, make: Make, app: RewardApp, clock: LeapingClock) -> None:
        app.refuse(400, "too long")
        with pytest.raises(EngineError, match=r"^400 too long$") as raised:
            await make().score(["one"])
        assert (raised.value.retryable, clock.waits) == (False, [])

    async def test_one_conversation_of_many_is_refused(self, make: Make, app: RewardApp) -> None:
        app.refuse(400, "too long")
        model = make()
        with pytest.raises(EngineError, match=r"^400 too long$"):
            await model.score([CHAT] * 5)
        assert len(app.asked) == 5

    @pytest.mark.parametrize("body", [b"<html>", b'{"data": 5}', b"{}"])
    async def test_an_answer_that_is_none(self, make: Make, app: RewardApp, body: bytes) -> None:
        app.planned.append((200, body, {}))
        assert await make().score(["one"]) == [0.003]
        assert len(app.asked) == 2

    async def test_to_cancel_is_to_stop_asking(self, make: Make, app: RewardApp) -> None:
        app.gate.clear()
        task = asyncio.create_task(make().score([CHAT] * 3))
        await until(lambda: len(app.asked) == 3)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert [left for left in asyncio.all_tasks() if "_insist" in repr(left)] == []


class TestCheck:
    @pytest.mark.parametrize("form", [{}, {"api": "pooling"}, {"api": "score"}, {"step_tag": "<t>"}])
    async def test_it_asks_for_one_reward(self, make: Make, app: RewardApp, form: dict[str, Any]) -> None:
        model = make(model=None, **form)
        await model.check()
        ((_, body),) = app.asked
        assert body["model"] == "judge"
        assert repr(model).endswith("model='judge')")

    async def test_a_server_that_does_not_tell_its_models(self, make: Make, app: RewardApp) -> None:
        app.models = None
        await make(model=None).check()
        assert "model" not in app.asked[0][1]

    async def test_a_model_that_is_not_there(self, make: Make) -> None:
        with pytest.raises(UnknownName, match=r"^unknown model 'jugde'; did you mean 'judge'"):
            await make(model="jugde").check()

    async def test_several_models(self, make: Make, app: RewardApp) -> None:
        app.models = ["judge", "jury"]
        with pytest.raises(UsageError, match=r"has 2 models; name one of them: judge, jury$"):
            await make(model=None).check()
        await make().check()

    async def test_an_endpoint_that_is_not_there(self, make: Make, app: RewardApp) -> None:
        app.refuse(404, "Not Found")
        with pytest.raises(
            UsageError, match=r"gives no rewards: 404 Not Found; is there a reward model at api=classify"
        ):
            await make().check()

    @pytest.mark.parametrize(("status", "retryable"), [(400, False), (503, True)])
    async def test_a_server_out_of_order(self, make: Make, app: RewardApp, status: int, retryable: bool) -> None:
        app.refuse(status, CANARY)
        with pytest.raises(EngineError, match=rf"gives no rewards: {status} \[key\]$") as raised:
            await make(key=CANARY).check()
        assert raised.value.retryable is retryable

    async def test_figures_that_are_none(self, make: Make, app: RewardApp) -> None:
        app.figures = lambda _: []
        with pytest.raises(EngineError, match=r"^the reward model gave no figure for a text"):
            await make().check()

    async def test_nobody_is_there(self) -> None:
        model = HttpRewardModel(Endpoint("http://127.0.0.1:9", stream=False), environ={})
        with pytest.raises(UsageError, match=r"^cannot reach http://127\.0\.0\.1:9/v1: .*; is the server running\?$"):
            await model.check()
        await model.close()


@pytest.mark.parametrize(
    ("form", "told"),
    [({"api": "clasify"}, "unknown api of a reward model 'clasify'"), ({"reduce": "max"}, "unknown reduction")],
)
def test_a_form_that_cannot_be(form: dict[str, Any], told: str) -> None:
    with pytest.raises(UnknownName, match=f"^{told}"):
        RewardForm(**form)


async def test_beside_an_engine(make: Make, app: RewardApp) -> None:
    """Texts of many branches share calls; the one that the server refuses fails alone."""
    inner = ToldEngine()
    engine = RewardedEngine(inner, make())
    await engine.check()
    prompts: list[Prompt] = [f"Q{index}:" for index in range(MOST_TEXTS)]
    requests = [
        Request(RequestId(ProgramId("p"), index), prompt, Sampling(), scored=True)
        for index, prompt in enumerate(prompts)
    ]
    for request in requests:
        engine.submit(request)
    app.asked.clear()
    app.refuse(400, "too long")
    inner.end(*(Completion(id=request.id, text="A", tokens=2, stopped_at="\n") for request in requests))
    ended = await collect(engine, len(requests))
    assert [completion.reward for completion in ended] == [len(f"{prompt}A\n") / 1000 for prompt in prompts]
    assert [len(body["input"]) for _, body in app.asked] == [64, 32, 32]
    assert {completion.finish for completion in ended} == {Finish.STOP}
    await engine.close()
