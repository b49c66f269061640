"""Embeddings of questions, for predictors that read nothing else: by wordllama, a server, or a model's hidden states.

What the paper calls the activation-based predictor reads hidden states of the model that answers (paper 6.5): those of
any GGUF file are had from llama.cpp, after the last token of the prompt. It does not know what is predicted.
"""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from dynasor.engines.builtin import policy_gguf
from dynasor.engines.chat_text import ChatText
from dynasor.engines.embedded_file import read_gguf
from dynasor.engines.embedded_memory import available_bytes, check_memory
from dynasor.engines.embedded_model import EmbeddedModel
from dynasor.engines.embedded_server import LlamaServer, Loading
from dynasor.engines.embedding import Embedder, EmbeddingModel, Vector
from dynasor.engines.embedding_builtin import BuiltinEmbeddings
from dynasor.engines.embedding_http import HttpEmbeddings
from dynasor.engines.endpoint import Endpoint
from dynasor.engines.openai_wire import one_line, server_words
from dynasor.errors import EngineError, UsageError
from dynasor.request import Message

WORDLLAMA, POLICY = "builtin", "policy"
_SLOTS = 4
_TEMPLATE_TOKENS = 64  # room for the turns around a question
_GGUF = ".gguf"

Vectors = Mapping[str, Vector]
"""By question."""


class HiddenStates:
    """Implements `dynasor.engines.embedding.EmbeddingModel`: what a model holds after the last token of its prompt."""

    def __init__(self, file: Path) -> None:
        """Nothing is read before `check`."""
        self._file = file
        self._server: LlamaServer | None = None
        self._chat_text: ChatText | None = None
        self._most_bytes = 0

    async def check(self) -> None:
        """Load the model.

        Raises:
            MissingExtra: llama.cpp is not installed.
            UsageError: there is no such model, llama.cpp refuses it, or it does not fit into memory.
        """
        file = read_gguf(self._file)
        context = file.context_tokens(EmbeddedModel(self._file))
        check_memory(file, _SLOTS, context, available_bytes())
        self._most_bytes = context - _TEMPLATE_TOKENS  # no token is less than a byte
        self._chat_text = ChatText(file)
        self._server = LlamaServer(Loading(file=file.path, slots=_SLOTS, context_tokens=context, embeds=True))
        await asyncio.to_thread(self._server.load)

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """Compute them, in a thread; of a question longer than the context, its end.

        Raises:
            EngineError: `check` was not called, or llama.cpp cannot read a text.
        """
        return await asyncio.to_thread(self._states, texts)

    def embed_in_place(self, text: str) -> Vector:
        """Compute one, here."""
        return self._states([text])[0]

    async def close(self) -> None:
        """Let go of the model."""
        if self._server is not None:
            self._server.free()

    def _states(self, texts: Sequence[str]) -> list[Vector]:
        if self._server is None or self._chat_text is None:
            raise EngineError("no model is loaded; await check() first", retryable=False)
        ends = [text.encode()[-self._most_bytes :].decode(errors="ignore") for text in texts]
        told = self._server.embed([self._chat_text((Message("user", end),)) for end in ends])
        try:
            states = msgspec.convert(told, _Embeddings).data
        except msgspec.ValidationError as fault:
            reason = server_words(told) or one_line(str(fault))
            raise EngineError(f"llama.cpp gives no hidden states: {reason}", retryable=False) from fault
        return [state.embedding for state in sorted(states, key=lambda state: state.index)]


class _Embedding(msgspec.Struct):
    index: int
    embedding: list[float]


class _Embeddings(msgspec.Struct):
    data: list[_Embedding]


def embedding_model(source: str) -> EmbeddingModel:
    """What a name stands for: `builtin` (wordllama), `policy` (the built-in model), a GGUF file, or a server's URL.

    Raises:
        UsageError: it is none of these.
    """
    if source == WORDLLAMA:
        return BuiltinEmbeddings()
    if source == POLICY:
        return HiddenStates(policy_gguf())
    if source.endswith(_GGUF):
        return HiddenStates(Path(source))
    if "://" in source:
        return HttpEmbeddings(Endpoint(source))
    raise UsageError(f"--embedding is '{source}'; name builtin, policy, a file that ends in .gguf, or a server's URL")


def called(source: str) -> str:
    """What rows call it."""
    if source == WORDLLAMA:
        return "wordllama"
    return Path(source).stem if source.endswith(_GGUF) else source


def embedded(source: str, questions: Sequence[str]) -> Vectors:
    """The embeddings of these questions.

    Raises:
        MissingExtra: what computes them is not installed.
        UsageError: it cannot work at all.
        EngineError: they cannot be had.
    """
    return asyncio.run(_embedded(embedding_model(source), list(dict.fromkeys(questions))))


async def _embedded(model: EmbeddingModel, questions: Sequence[str]) -> Vectors:
    embedder = Embedder(model, cached_texts=len(questions))
    try:
        await embedder.check()
        await embedder.embed(questions)
        return {question: embedder.vector(question) for question in questions}
    finally:
        await embedder.close()
