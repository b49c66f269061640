"""The reward model that ships, in this process, against what the trained weights gave."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dynasor.engines.builtin import REWARD_END, reward_gguf
from dynasor.engines.embedded_reward import RewardScorer

EXPECTED = json.loads(Path(__file__).with_name("reward_expected.json").read_text())


@pytest.fixture
async def scorer() -> AsyncIterator[RewardScorer]:
    pytest.importorskip("xllamacpp")
    scorer = RewardScorer(reward_gguf(), end=REWARD_END)
    await scorer.check()
    yield scorer
    await scorer.close()


@pytest.mark.slow
async def test_the_shipped_files_score_as_the_trained_weights_did(scorer: RewardScorer) -> None:
    texts = [pair[kind] for pair in EXPECTED for kind in ("right", "wrong")]
    wanted = [pair[f"{kind}_score"] for pair in EXPECTED for kind in ("right", "wrong")]
    scores = await scorer.score(texts)
    apart = [abs(score - want) for score, want in zip(scores, wanted, strict=True)]
    assert sum(apart) / len(apart) < 0.03, apart
    better = sum(right > wrong for right, wrong in zip(scores[::2], scores[1::2], strict=True))
    assert better >= sum(pair["right_score"] > pair["wrong_score"] for pair in EXPECTED) - 1


@pytest.mark.slow
async def test_it_sees_the_line_that_went_wrong(scorer: RewardScorer) -> None:
    begun = "Question: Ben has 12 apples. Then Ben gets 7 more apples. How many apples does Ben have now?\nSolution:\n"
    right, wrong = await scorer.score([f"{begun}Ben has 12+7={total} apples\n" for total in (19, 21)])
    assert right > 0.9
    assert wrong < 0.5 * right
