import asyncio
import json
import threading
from collections.abc import AsyncIterator
from math import exp
from operator import mul
from pathlib import Path
from random import Random
from typing import Any

import pytest

from dynasor.engines.embedded_reward import RewardHead, RewardScorer
from dynasor.engines.rewarding import RewardedEngine
from dynasor.errors import EngineError, UsageError
from dynasor.request import Completion, Finish, Message, ProgramId, Request, RequestId, Sampling
from support.engine_contract import collect
from support.gguf_models import WIDTH, LastTokenModel
from support.reward_models import ToldEngine

WEIGHT = [Random(1).uniform(-0.5, 0.5) for _ in range(WIDTH)]
MODEL = LastTokenModel()


def write_head(file: Path, **head: Any) -> None:
    file.with_suffix(".json").write_text(json.dumps({"weight": WEIGHT, "bias": 0.25, "reads": "a score", **head}))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = MODEL.write(tmp_path / "reward.gguf")
    write_head(file)
    return file


@pytest.fixture
async def scorer(file: Path) -> AsyncIterator[RewardScorer]:
    scorer = RewardScorer(file)
    await scorer.check()
    yield scorer
    await scorer.close()


def expected(text: str) -> float:
    return 1 / (1 + exp(-sum(map(mul, WEIGHT, MODEL.state(text))) - 0.25))


async def test_scores_are_those_of_the_last_tokens_in_order(scorer: RewardScorer) -> None:
    rng = Random(2)
    texts = ["".join(rng.choices(MODEL.letters, k=rng.randrange(1, 40))) for _ in range(70)]
    assert await scorer.score(texts) == pytest.approx([expected(text) for text in texts], abs=1e-5)
    assert len({round(expected(text), 4) for text in texts}) == len(MODEL.letters)


async def test_the_end_of_a_text_is_one_token(scorer: RewardScorer) -> None:
    """Were it spelt out, it would end in a symbol that this model does not know."""
    ((at_end,), (before,)) = await scorer.score(["abc" + MODEL.end]), await scorer.score(["abc"])
    assert at_end == pytest.approx(expected(MODEL.end), abs=1e-5)
    assert at_end != pytest.approx(before, abs=1e-3)


async def test_conversations_are_joined_where_there_is_no_template(scorer: RewardScorer) -> None:
    begun = (Message("user", "ab"), Message("assistant", "cd"))
    assert await scorer.score([begun, begun[:1], "c"]) == pytest.approx(list(map(expected, "dbc")), abs=1e-5)


async def test_beside_an_engine(file: Path) -> None:
    inner = ToldEngine()
    engine = RewardedEngine(inner, RewardScorer(file, end=MODEL.end))
    await engine.check()
    endings: list[tuple[str, Any]] = [(letter, {"stopped_at": letter}) for letter in "abcdefgh" * 10]
    endings += [(MODEL.end, {}), ("a", {"finish": Finish.LENGTH})]
    for index, (_, fields) in enumerate(endings):
        id = RequestId(ProgramId("p"), index)
        engine.submit(Request(id, "ab" if index % 2 else (Message("user", "ab"),), Sampling(), scored=True))
        inner.end(Completion(id=id, text="ba", tokens=2, **fields))
    ended = await collect(engine, len(endings))
    due = [expected(ending) for ending, _ in endings]
    assert [completion.reward for completion in ended] == pytest.approx(due, abs=1e-5)
    await engine.close()


async def test_nothing_to_score(scorer: RewardScorer) -> None:
    assert await scorer.score([]) == []


async def test_many_ask_at_once(scorer: RewardScorer) -> None:
    scored = await asyncio.gather(*(scorer.score([letter]) for letter in MODEL.letters))
    assert [score for (score,) in scored] == pytest.approx([expected(letter) for letter in MODEL.letters], abs=1e-5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "llama.cpp gives no scores: Input content cannot be empty"),
        ("a" * 300, "llama.cpp gives no scores: request .300 tokens. exceeds the available context size .256 tokens."),
        ("\ud800", "llama.cpp cannot read the texts: "),
    ],
)
async def test_a_text_that_cannot_be_scored(scorer: RewardScorer, text: str, message: str) -> None:
    with pytest.raises(EngineError, match=f"^{message}"):
        await scorer.score(["abc", text])
    assert await scorer.score(["abc"]) == pytest.approx([expected("abc")], abs=1e-5)


async def test_before_check_and_after_close(file: Path) -> None:
    before = threading.active_count()
    scorer = RewardScorer(file)
    with pytest.raises(EngineError, match=r"no reward model is loaded; await check\(\) first"):
        await scorer.score(["a"])
    await scorer.check()
    await scorer.close()
    await scorer.close()
    assert threading.active_count() == before
    with pytest.raises(EngineError, match="no reward model is loaded"):
        await scorer.score(["a"])


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ({"weight": [1.0]}, "the head of reward.gguf has 1 weights, and its trunk is 32 wide; they do not belong"),
        ({"weight": "no"}, r".*reward\.json is not the head of a reward model: Expected `array`"),
    ],
)
async def test_a_head_that_cannot_be(file: Path, head: dict[str, Any], message: str) -> None:
    write_head(file, **head)
    with pytest.raises(UsageError, match=f"^{message}"):
        await RewardScorer(file).check()


async def test_a_head_that_is_not_there(file: Path) -> None:
    file.with_suffix(".json").unlink()
    with pytest.raises(UsageError, match=r"^cannot read the head of the reward model: .*: No such file or directory$"):
        await RewardScorer(file).check()


@pytest.fixture
def torn(file: Path) -> Path:
    file.write_bytes(file.read_bytes()[:-500])
    return file


async def test_a_trunk_that_llama_cpp_refuses_leaves_no_thread(torn: Path) -> None:
    before = threading.active_count()
    with pytest.raises(UsageError, match=r"^llama\.cpp cannot load .*reward\.gguf: "):
        await RewardScorer(torn).check()
    assert threading.active_count() == before


@pytest.mark.parametrize(("raw", "score"), [(0.0, 0.5), (1e4, 1.0), (-1e4, 0.0), (2.0, 0.880797), (-2.0, 0.119203)])
def test_a_score_is_a_probability_however_large_the_sum(raw: float, score: float) -> None:
    assert RewardHead(weight=(1.0, 1.0), bias=raw - 3).score((1.0, 2.0)) == pytest.approx(score, abs=1e-6)
