"""The likeliest continuations of prompts, and their tokens, by llama.cpp within the process."""

import json
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.request import Request, urlopen

import xllamacpp

from training.greedy import Prompt, Tokens

_CONTEXT = 1024


class LlamaCpp:
    """A GGUF file served in one slot by one thread."""

    def __init__(self, gguf: Path, end: int) -> None:
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(gguf)
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
        parameters.n_ctx, parameters.n_parallel = _CONTEXT, 1
        parameters.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED  # it rounds to f16
        parameters.verbosity = -1
        self._server, self._end = xllamacpp.Server(parameters), end

    def __enter__(self) -> "LlamaCpp":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        del self._server  # stops it: it has no method for that

    def tokens(self, text: str) -> Tokens:
        """The tokens of a text by llama.cpp's own tokenizer."""
        return list(self._asked("/tokenize", content=text, add_special=True, parse_special=True)["tokens"])

    def continuations(self, prompts: Sequence[Prompt], max_tokens: int) -> list[Tokens]:
        """The likeliest tokens after each prompt, the end token included."""
        return [self._continuation(prompt, max_tokens) for prompt in prompts]

    def _continuation(self, prompt: Prompt, max_tokens: int) -> Tokens:
        asked = {"prompt": prompt.tokens, "n_predict": max_tokens, "temperature": 0, "return_tokens": True}
        answer = self._asked("/completion", **asked)
        written: Tokens = answer["tokens"]
        ended = answer["stop_type"] == "eos" and written[-1:] != [self._end]
        return [*written, self._end] if ended else written

    def _asked(self, path: str, **question: Any) -> Any:
        """Over HTTP, since only that way tells every token: a log-probability is left out amid a character's bytes."""
        body = json.dumps(question).encode()
        request = Request(self._server.listening_address + path, body, {"Content-Type": "application/json"})  # noqa: S310
        with urlopen(request) as answer:  # noqa: S310 - the server in this process
            return json.load(answer)
