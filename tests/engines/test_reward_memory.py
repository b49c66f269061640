from collections.abc import Sequence

import pytest

from dynasor.engines.reward_memory import RememberingRewardModel
from dynasor.errors import EngineError
from dynasor.request import Message, Prompt


class Counted:
    """Scores a text by its length; tells what it was asked."""

    end = "!"

    def __init__(self) -> None:
        self.asked: list[list[Prompt]] = []
        self.fault: EngineError | None = None
        self.short = False
        self.checked = self.closed = False

    async def check(self) -> None:
        self.checked = True

    async def score(self, texts: Sequence[Prompt]) -> list[float]:
        self.asked.append(list(texts))
        if self.fault is not None:
            raise self.fault
        return [1 / len(text) for text in texts][: len(texts) - self.short]

    async def close(self) -> None:
        self.closed = True


async def test_equal_texts_are_scored_once() -> None:
    model = Counted()
    remembering = RememberingRewardModel(model)
    talk = (Message("user", "a"), Message("assistant", "b"))
    assert await remembering.score(["a", "bb", "a", talk]) == [1.0, 0.5, 1.0, 0.5]
    assert await remembering.score(["bb", talk, "cccc"]) == [0.5, 0.5, 0.25]
    assert await remembering.score(["a"]) == [1.0]
    assert model.asked == [["a", "bb", talk], ["cccc"]]


async def test_only_the_latest_are_remembered() -> None:
    model = Counted()
    remembering = RememberingRewardModel(model, remembered_texts=2)
    await remembering.score(["a", "b"])
    await remembering.score(["a", "c"])
    await remembering.score(["a"])
    await remembering.score(["b"])
    assert model.asked == [["a", "b"], ["c"], ["b"]]


async def test_faults_are_the_other_one_s() -> None:
    model = Counted()
    remembering = RememberingRewardModel(model)
    await remembering.check()
    model.fault = EngineError("busy", retryable=True)
    with pytest.raises(EngineError, match="busy"):
        await remembering.score(["a"])
    model.fault, model.short = None, True
    assert await remembering.score(["a", "b"]) == [1.0], "whoever asked counts them"
    await remembering.close()
    assert (model.checked, model.closed, remembering.end) == (True, True, "!")
    assert "Counted" in repr(remembering)
