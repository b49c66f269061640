"""Embeddings of texts, each computed once. It knows neither what the texts are nor what computes them."""

from array import array
from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

from dynasor.engines.holding import Answered
from dynasor.errors import EngineError

LONGEST_TEXT = 1 << 15
"""In characters; of a longer text only the beginning is embedded."""

_CACHED_TEXTS = 1 << 12
_AT_ONCE = 32  # texts; some servers take no more

Vector = Sequence[float]


class EmbeddingModel(Protocol):
    """Computes embeddings: of one text always the same, whatever else is asked for beside it."""

    async def check(self) -> None:
        """Raise a `UsageError` or `EngineError` where it cannot work at all; called once, first."""
        ...

    async def embed(self, texts: Sequence[str]) -> Sequence[Vector]:
        """Compute them, without keeping the event loop.

        Raises:
            EngineError: they cannot be had. Where it is not retryable, one of the texts may be to blame.
        """
        ...

    def embed_in_place(self, text: str) -> Vector:
        """Compute one and wait for it; works without `check`, and whether or not an event loop runs.

        Raises:
            UsageError: the model cannot work at all.
            EngineError: it cannot be had.
        """
        ...

    async def close(self) -> None:
        """Let go of everything."""
        ...


class Embedder:
    """A model with a memory of the latest texts; to be used within one thread."""

    def __init__(self, model: EmbeddingModel, cached_texts: int = _CACHED_TEXTS) -> None:
        self._model = model
        self._most = cached_texts
        self._known: OrderedDict[str, Vector] = OrderedDict()

    def __contains__(self, text: str) -> bool:
        return text in self._known

    async def check(self) -> None:
        """Check the model.

        Raises:
            UsageError: it cannot work at all.
            EngineError: it is out of order.
        """
        await self._model.check()

    async def prepare(self, answers: Sequence[Answered]) -> None:
        """Embed answers before they are grouped, those of all programs together.

        Raises:
            EngineError: they cannot be had. Where it is not retryable, one of them may be to blame.
        """
        try:
            await self.embed([each.answer for each in answers])
        except EngineError as fault:
            raise EngineError(f"no embedding: {fault}", retryable=fault.retryable) from fault

    async def embed(self, texts: Sequence[str]) -> None:
        """See that `vector` has these at hand, in as few calls as it takes.

        Raises:
            EngineError: they cannot be had. Where it is not retryable, one of the texts may be to blame.
        """
        missing = [text for text in dict.fromkeys(texts) if text not in self._known]
        for start in range(0, len(missing), _AT_ONCE):
            asked = missing[start : start + _AT_ONCE]
            vectors = await self._model.embed([_fit(text) for text in asked])
            for text, vector in zip(asked, vectors, strict=True):
                self._keep(text, vector)

    def vector(self, text: str) -> Vector:
        """The embedding of a text: at hand where it was embedded before, else computed in place.

        Raises:
            UsageError: it is not at hand, and the model cannot work at all.
            EngineError: it is not at hand, and cannot be had.
        """
        if text not in self._known:
            self._keep(text, self._model.embed_in_place(_fit(text)))
        self._known.move_to_end(text)
        return self._known[text]

    async def close(self) -> None:
        """Let go of the model."""
        await self._model.close()

    def _keep(self, text: str, vector: Vector) -> None:
        self._known[text] = array("f", vector)
        if len(self._known) > self._most:
            self._known.popitem(last=False)


def _fit(text: str) -> str:
    """Cut it, and put question marks for halves of characters, which no tokenizer takes."""
    return text[:LONGEST_TEXT].encode(errors="replace").decode()
