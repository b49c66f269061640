"""Scores of texts by a reward model that runs in this process. It does not know what the texts are, or who wants them.

llama.cpp has no place for a reward head in a Llama: the GGUF file holds the trunk, and a JSON file of the same name the
head. What llama.cpp gives is the trunk's output at the last token, as if for an embedding; the head is applied here.
"""

from collections.abc import Sequence
from functools import partial
from math import exp
from operator import mul
from pathlib import Path

import msgspec

from dynasor.engines.embedded_file import read_gguf
from dynasor.engines.embedded_memory import available_bytes, check_memory
from dynasor.engines.embedded_model import EmbeddedModel
from dynasor.engines.embedded_server import LlamaServer, Loading
from dynasor.engines.embedded_threads import Threads
from dynasor.engines.openai_wire import one_line, server_words
from dynasor.errors import EngineError, UsageError

_SLOTS = 4
_AT_ONCE = 64  # texts; in between, those of others get their turn


class RewardHead(msgspec.Struct, frozen=True):
    """The last layer of a reward model: as many weights as its trunk is wide, and a bias."""

    weight: tuple[float, ...]
    bias: float = 0.0

    def score(self, state: Sequence[float]) -> float:
        """The probability that it stands for: the logistic function of weight · state + bias, in [0, 1]."""
        raw = sum(map(mul, self.weight, state)) + self.bias
        return 1 / (1 + exp(-raw)) if raw >= 0 else exp(raw) / (1 + exp(raw))


class RewardScorer:
    """Scores texts off the event loop; to be used within one."""

    def __init__(self, file: Path, *, context_tokens: int | None = None, threads: int = 1) -> None:
        """Nothing is read or loaded before `check`.

        Args:
            file: the trunk; the head is beside it (`reward-f16.gguf`, `reward-f16.json`).
            context_tokens: the longest text. None: what the model was trained for, and at most 4096.
            threads: llama.cpp's own (see `EmbeddedModel`).
        """
        self._model = EmbeddedModel(file, context_tokens=context_tokens, slots=_SLOTS, threads=threads)
        self._loaded: tuple[RewardHead, LlamaServer, Threads] | None = None

    async def check(self) -> None:
        """Load the model.

        Raises:
            MissingExtra: llama.cpp is not installed.
            UsageError: a file is missing or torn, llama.cpp refuses the trunk, it does not fit into memory, or the head
                belongs to another.
        """
        file = read_gguf(self._model.file)
        head = read_head(file.path.with_suffix(".json"))
        if file.width is not None and len(head.weight) != file.width:
            raise UsageError(
                f"the head of {file.path.name} has {len(head.weight)} weights, and its trunk is {file.width} wide;"
                " they do not belong together"
            )
        context = file.context_tokens(self._model)
        check_memory(file, _SLOTS, context, available_bytes())
        server = LlamaServer(
            Loading(file=file.path, slots=_SLOTS, context_tokens=context, threads=self._model.threads, embeds=True)
        )
        threads = Threads(1, "dynasor reward")
        try:
            await threads.start(server.load)
        except BaseException:
            threads.close()
            raise
        self._loaded = head, server, threads

    async def score(self, texts: Sequence[str]) -> list[float]:
        """Score texts: a probability in [0, 1] each, in their order.

        Raises:
            EngineError: no model is loaded, or llama.cpp refuses a text, such as one that is longer than the context.
        """
        if self._loaded is None:
            raise EngineError("no reward model is loaded; await check() first", retryable=False)
        head, server, threads = self._loaded
        scores: list[float] = []
        for start in range(0, len(texts), _AT_ONCE):
            told = await threads.start(partial(server.embed, texts[start : start + _AT_ONCE]))
            scores += [head.score(state) for state in _states(told)]
        return scores

    async def close(self) -> None:
        """End the thread, and let go of the model."""
        if self._loaded is not None:
            _, server, threads = self._loaded
            self._loaded = None
            await threads.start(server.free)
            threads.close()


def read_head(path: Path) -> RewardHead:
    """Read the head of a reward model.

    Raises:
        UsageError: there is none.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=RewardHead)
    except OSError as fault:
        raise UsageError(f"cannot read the head of the reward model: {path}: {fault.strerror}") from fault
    except msgspec.DecodeError as fault:
        raise UsageError(f"{path} is not the head of a reward model: {one_line(str(fault))}") from fault


class _Embedding(msgspec.Struct):
    index: int
    embedding: list[float]


class _Embeddings(msgspec.Struct):
    data: list[_Embedding]


def _states(told: object) -> list[list[float]]:
    try:
        embeddings = msgspec.convert(told, _Embeddings).data
    except msgspec.ValidationError as fault:
        reason = server_words(told) or one_line(str(fault))
        raise EngineError(f"llama.cpp gives no scores: {reason}", retryable=False) from fault
    return [embedding.embedding for embedding in sorted(embeddings, key=lambda embedding: embedding.index)]
