"""A reward model that scores equal texts once: searches write many steps that are alike, and each prefix of theirs."""

from collections import OrderedDict
from collections.abc import Sequence

from dynasor.engines.reward_queue import RewardModel
from dynasor.request import Prompt

REMEMBERED_TEXTS = 1 << 14
"""The latest; the others are scored again."""


class RememberingRewardModel:
    """Another one with a memory. Implements `dynasor.engines.reward_queue.RewardModel`.

    Attributes:
        reward_model: the other one.
    """

    def __init__(self, reward_model: RewardModel, remembered_texts: int = REMEMBERED_TEXTS) -> None:
        self.reward_model = reward_model
        self._most = remembered_texts
        self._known: OrderedDict[Prompt, float] = OrderedDict()

    def __repr__(self) -> str:
        return repr(self.reward_model)

    @property
    def end(self) -> str:
        """The other one's."""
        return self.reward_model.end

    async def check(self) -> None:
        """Check the other one.

        Raises:
            UsageError: it cannot work.
            EngineError: it is out of order.
        """
        await self.reward_model.check()

    async def score(self, texts: Sequence[Prompt]) -> list[float]:
        """Ask for the scores that are not known.

        Raises:
            EngineError: they cannot be had. What is known stays known.
        """
        scores = {text: self._known[text] for text in texts if text in self._known}
        missing = [text for text in dict.fromkeys(texts) if text not in scores]
        if missing:
            told = await self.reward_model.score(missing)
            if len(told) != len(missing):
                return told  # a fault, for whoever asked to tell
            scores |= dict(zip(missing, told, strict=True))
        self._remember(scores)
        return [scores[text] for text in texts]

    async def close(self) -> None:
        """Close the other one."""
        await self.reward_model.close()

    def _remember(self, scores: dict[Prompt, float]) -> None:
        for text, score in scores.items():
            self._known[text] = score
            self._known.move_to_end(text)
        while len(self._known) > self._most:
            self._known.popitem(last=False)
