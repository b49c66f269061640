"""Embeddings in this process, by the model that the package wordllama carries: no server, no download.

Its embedding of a text is the mean of the text's tokens, 256 figures each, so the order of words is lost on it
(docs/decisions/embedding-model.md).
"""

import asyncio
import logging
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any

from dynasor.engines.embedding import Vector
from dynasor.errors import MissingExtra, UsageError


class BuiltinEmbeddings:
    """Implements `dynasor.engines.embedding.EmbeddingModel`. The model is loaded when it is first needed."""

    def __init__(self) -> None:
        self._model: Any = None
        self._lock = Lock()

    async def check(self) -> None:
        """Load the model, in a thread: it takes a second or two.

        Raises:
            MissingExtra: wordllama is not installed.
            UsageError: it was installed without its model.
        """
        await asyncio.to_thread(self._loaded)

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """Compute embeddings, in a thread."""
        return await asyncio.to_thread(self._computed, texts)

    def embed_in_place(self, text: str) -> Vector:
        """Compute one, here."""
        return self._computed([text])[0]

    async def close(self) -> None:
        """Nothing is left to let go of."""

    def _computed(self, texts: Sequence[str]) -> list[Vector]:
        # One at a time: beside a longer text a short one is padded to its length, which costs more than it saves.
        vectors: list[Vector] = self._loaded().embed(list(texts), batch_size=1).tolist()
        return vectors

    def _loaded(self) -> Any:
        with self._lock:
            if self._model is None:
                self._model = _load()
            return self._model


def _load() -> Any:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        wordllama: Any = import_module("wordllama")
    except ImportError:
        raise MissingExtra("grouping by meaning", "semantic") from None
    finally:  # it sets up the logging of the whole process
        root.handlers[:] = handlers
        root.setLevel(level)
    try:
        # The package's own folder as its cache: it looks for its tokenizer there alone, and else would download it.
        return wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
    except FileNotFoundError as fault:
        raise UsageError(f"wordllama has no model with it ({fault}); install it anew, or name a server") from None
