"""A reward model that runs in this process. It does not know what the texts are that it scores, or who wants them.

llama.cpp has no place for a reward head in a Llama: the GGUF file holds the trunk, and a JSON file of the same name the
head. What llama.cpp gives is the trunk's output at the last token, as if for an embedding; the head is applied here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from operator import mul
from pathlib import Path

import msgspec

from dynasor.engines.chat_text import ChatText
from dynasor.engines.embedded_file import read_gguf
from dynasor.engines.embedded_memory import available_bytes, check_memory
from dynasor.engines.embedded_model import EmbeddedModel
from dynasor.engines.embedded_server import LlamaServer, Loading
from dynasor.engines.embedded_threads import Threads
from dynasor.engines.openai_wire import one_line, server_words
from dynasor.engines.reward_wire import logistic
from dynasor.errors import EngineError, UsageError
from dynasor.request import Prompt

_SLOTS = 4
_AT_ONCE = 64  # texts; in between, those of others get their turn


class RewardHead(msgspec.Struct, frozen=True):
    """The last layer of a reward model: as many weights as its trunk is wide, and a bias."""

    weight: tuple[float, ...]
    bias: float = 0.0

    def score(self, state: Sequence[float]) -> float:
        """The probability that it stands for: the logistic function of weight · state + bias, in [0, 1]."""
        return logistic(sum(map(mul, self.weight, state)) + self.bias)


class RewardScorer:
    """Scores texts off the event loop; to be used within one. Implements `dynasor.engines.reward_queue.RewardModel`.

    Conversations become text by the trunk's own chat template, and are joined by blank lines where it has none.

    Attributes:
        end: what stands at the end of a text that the policy has ended by itself.
    """

    def __init__(self, file: Path, *, end: str = "", context_tokens: int | None = None, threads: int = 1) -> None:
        """Nothing is read or loaded before `check`.

        Args:
            file: the trunk; the head is beside it (`reward-q8_0.gguf`, `reward-q8_0.json`).
            end: see above.
            context_tokens: the longest text. None: what the model was trained for, and at most 4096.
            threads: llama.cpp's own (see `EmbeddedModel`).
        """
        self.end = end
        self._model = EmbeddedModel(file, context_tokens=context_tokens, slots=_SLOTS, threads=threads)
        self._loaded: _Loaded | None = None

    def __repr__(self) -> str:
        return f"RewardScorer(file={str(self._model.file)!r})"

    async def check(self) -> None:
        """Load the model.

        Raises:
            MissingExtra: llama.cpp is not installed.
            UsageError: a file is missing or torn, llama.cpp refuses the trunk, it does not fit into memory, the head
                belongs to another, or the chat template cannot be read.
        """
        file = read_gguf(self._model.file)
        head = read_head(file.path.with_suffix(".json"))
        if file.width is not None and len(head.weight) != file.width:
            raise UsageError(
                f"the head of {file.path.name} has {len(head.weight)} weights, and its trunk is {file.width} wide;"
                " they do not belong together"
            )
        chat_text, context = ChatText(file), file.context_tokens(self._model)
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
        self._loaded = _Loaded(chat_text, head, server, threads)

    async def score(self, texts: Sequence[Prompt]) -> list[float]:
        """Score texts: a probability in [0, 1] each, in their order.

        Raises:
            EngineError: no model is loaded, llama.cpp refuses a text, such as one that is longer than the context, or
                the chat template a conversation.
        """
        if (loaded := self._loaded) is None:
            raise EngineError("no reward model is loaded; await check() first", retryable=False)
        plain = [loaded.chat_text(text) for text in texts]
        scores: list[float] = []
        for start in range(0, len(plain), _AT_ONCE):
            told = await loaded.threads.start(partial(loaded.server.embed, plain[start : start + _AT_ONCE]))
            scores += [loaded.head.score(state) for state in _states(told)]
        return scores

    async def close(self) -> None:
        """End the thread, and let go of the model."""
        loaded, self._loaded = self._loaded, None
        if loaded is not None:
            await loaded.threads.start(loaded.server.free)
            loaded.threads.close()


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A model in memory, and the thread that asks it."""

    chat_text: ChatText
    head: RewardHead
    server: LlamaServer
    threads: Threads


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
