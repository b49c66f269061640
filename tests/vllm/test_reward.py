"""A real server of a reward model, beside one of the policy that knows what every reward must be."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from math import exp
from typing import Any

import pytest

from dynasor.bench.vllm_options import ServerOptions
from dynasor.bench.vllm_server import VLLMServer
from dynasor.engines.endpoint import Endpoint
from dynasor.engines.openai_http import OpenAIEngine
from dynasor.engines.reward_http import HttpRewardModel
from dynasor.engines.reward_wire import RewardForm
from dynasor.engines.rewarding import RewardedEngine
from dynasor.errors import EngineError, UsageError
from dynasor.request import Finish, Message, ProgramId, Prompt, Request, RequestId, Sampling
from support.engine_contract import collect
from support.json_http import post
from support.live_engine import PATIENT

pytestmark = [pytest.mark.vllm, pytest.mark.slow, pytest.mark.xdist_group("vllm")]

TEXTS = [
    f"Question: Tom has {have} apples. He buys {more} more. How many apples does Tom have now?\nSolution:\nTom has "
    for have, more in ((3, 4), (17, 5), (70, 7))
]


def rewards(server: VLLMServer, texts: list[str]) -> list[float]:
    answer = post(f"{server.url}/classify", {"model": server.options.name, "input": texts, "use_activation": False})
    return [entry["probs"][0] for entry in sorted(answer["data"], key=lambda entry: entry["index"])]


def preference(server: VLLMServer, text: str) -> float:
    """How much likelier the policy goes on with "1" than with "7", in natural logarithms."""
    body = {"model": server.options.name, "prompt": text, "max_tokens": 1, "logprobs": 20, "temperature": 0.0}
    logprobs: dict[str, Any] = post(f"{server.url}/v1/completions", body)["choices"][0]["logprobs"]["top_logprobs"][0]
    return float(logprobs["1"] - logprobs["7"])


async def test_a_reward_is_what_the_policy_says_it_must_be(
    policy_server: VLLMServer, reward_server: VLLMServer
) -> None:
    given = await asyncio.to_thread(rewards, reward_server, TEXTS)
    due = [await asyncio.to_thread(preference, policy_server, text) for text in TEXTS]
    assert given == pytest.approx(due, abs=0.1)  # both compute in bfloat16
    assert max(due) - min(due) > 1.0


async def test_both_servers_work_at_once(policy_server: VLLMServer, reward_server: VLLMServer) -> None:
    asked = [asyncio.to_thread(preference, policy_server, TEXTS[0]) for _ in range(10)]
    scored = [asyncio.to_thread(rewards, reward_server, TEXTS) for _ in range(10)]
    assert len(await asyncio.gather(*asked, *scored)) == 20
    assert policy_server.is_healthy()
    assert reward_server.is_healthy()


START_S = 300.0
Make = Callable[..., HttpRewardModel]
QUESTIONS = [text.removeprefix("Question: ").partition("\n")[0] for text in TEXTS]
CHATS: list[Prompt] = [(Message("user", question), Message("assistant", "Tom has ")) for question in QUESTIONS]


@pytest.fixture
async def make(reward_server: VLLMServer) -> AsyncIterator[Make]:
    """Make reward models at the server; they are closed in the end."""
    made: list[HttpRewardModel] = []

    def start(server: VLLMServer = reward_server, **form: Any) -> HttpRewardModel:
        endpoint = Endpoint(server.url, server.options.name, stream=False, timeouts=PATIENT)
        made.append(HttpRewardModel(endpoint, RewardForm(**form), environ={}))
        return made[-1]

    yield start
    for model in made:
        await model.close()


def logistic(raw: float) -> float:
    return 1 / (1 + exp(-raw))


async def due(server: VLLMServer, texts: list[str]) -> list[float]:
    return [logistic(await asyncio.to_thread(preference, server, text)) for text in texts]


@pytest.mark.parametrize("squash", [False, True])
@pytest.mark.parametrize("api", ["classify", "pooling"])
async def test_plain_texts_and_conversations_have_one_reward(
    policy_server: VLLMServer, make: Make, api: str, squash: bool
) -> None:
    """The server puts a conversation into the words in which the plain texts are written."""
    model = make(api=api, squash=squash)
    await model.check()
    expected = await due(policy_server, TEXTS)
    assert max(expected) - min(expected) > 0.1
    assert await model.score([*TEXTS, *CHATS]) == pytest.approx(expected * 2, abs=0.02)


async def test_a_score_is_of_question_and_solution_together(make: Make) -> None:
    scored = make(api="score")
    await scored.check()
    joined = [f"{question}Tom has " for question in QUESTIONS]
    assert await scored.score(CHATS) == pytest.approx(await make().score(joined), abs=0.001)


async def test_a_text_that_is_too_long_is_refused(make: Make) -> None:
    with pytest.raises(EngineError, match=r"^400 .*1024 tokens") as raised:
        await make().score([TEXTS[0] * 100, TEXTS[1]])
    assert not raised.value.retryable


async def test_a_server_of_a_policy_has_no_rewards(policy_server: VLLMServer, make: Make) -> None:
    with pytest.raises(UsageError, match="gives no rewards: 404 Not Found; is there a reward model at api=classify"):
        await make(policy_server).check()


async def test_beside_an_engine(policy_server: VLLMServer, make: Make) -> None:
    """What is scored is what the policy was given and gave, with the line break that it stopped at."""
    reward_model = make()
    engine = RewardedEngine(
        OpenAIEngine(Endpoint(policy_server.url, policy_server.options.name, timeouts=PATIENT), environ={}),
        reward_model,
    )
    await engine.check()
    sampling = Sampling(temperature=0.0, max_tokens=100, stop=("\n",))
    requests = [
        Request(RequestId(ProgramId("p"), index), text.removesuffix("Tom has "), sampling, scored=True)
        for index, text in enumerate(TEXTS)
    ]
    for request in requests:
        engine.submit(request)
    ended = await collect(engine, len(requests))
    assert {(completion.finish, completion.stopped_at) for completion in ended} == {(Finish.STOP, "\n")}
    texts = [f"{request.prompt}{completion.text}\n" for request, completion in zip(requests, ended, strict=True)]
    given = [completion.reward for completion in ended]
    assert given == pytest.approx(await reward_model.score(texts), abs=0.001)
    assert given != pytest.approx(await reward_model.score([text.rstrip() for text in texts]), abs=0.01)
    await engine.close()


@pytest.fixture(scope="module")
def step_server(reward_server: VLLMServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VLLMServer]:
    """The same reward model, which tells a figure for every token."""
    log = tmp_path_factory.mktemp("steps") / "steps.log"
    every_token = ("--pooler-config", '{"task": "token_classify"}')
    options = ServerOptions(model=reward_server.options.model, log=log, core=1, runner="pooling", arguments=every_token)
    server = VLLMServer(options).start()
    try:
        server.wait_until_ready(START_S)
        yield server
    finally:
        server.stop()


async def test_of_many_figures_the_last_counts(make: Make, step_server: VLLMServer) -> None:
    of_steps = make(step_server, api="pooling")
    await of_steps.check()
    assert await of_steps.score([*TEXTS, *CHATS]) == pytest.approx(await make().score([*TEXTS, *CHATS]), abs=0.001)
    least = await make(step_server, api="pooling", reduce="minimum").score(TEXTS)
    assert least != await of_steps.score(TEXTS)
    assert all(some <= last for some, last in zip(least, await of_steps.score(TEXTS), strict=True))
