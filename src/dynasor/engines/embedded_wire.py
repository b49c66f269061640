"""Requests as llama.cpp is asked for them, and its answers as completions. It knows no threads and no library.

llama.cpp speaks the OpenAI API, with fields of its own. An answer comes as chunks: one for each token, and one for each
part of the prompt that was read.
"""

from typing import Any, Final

import msgspec

from dynasor.engines.embedded_model import EmbeddedModel
from dynasor.engines.logprobs import LogprobMeans
from dynasor.engines.openai_wire import one_line
from dynasor.errors import EngineError
from dynasor.request import Completion, Finish, Message, Report, Request, RequestId

# What llama.cpp would do unasked: it narrows the choice of tokens, and cuts it down before it looks at the temperature.
_AS_SAMPLED: Final = {"samplers": ["temperature", "top_p"], "top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0}
# A stream is what can be cut; its chunks count the tokens, and come also while a long prompt is read.
_STREAMED: Final = {
    "stream": True,
    "stream_options": {"include_usage": True},
    "timings_per_token": True,
    "return_progress": True,
    "cache_prompt": True,
}
_TOO_LONG: Final = "exceed_context_size_error"


def encoded(request: Request, model: EmbeddedModel, *, has_template: bool) -> tuple[bool, dict[str, Any]]:
    """Give whether it is a conversation, and the fields of the request."""
    prompt, sampling = request.prompt, request.sampling
    if isinstance(prompt, str) and model.api == "chat":
        prompt = (Message("user", prompt),)
    chat = not isinstance(prompt, str) and has_template and model.api != "completions"
    fields: dict[str, Any] = {**_AS_SAMPLED, **_STREAMED, **_prompt_fields(prompt, chat=chat)}
    fields |= {"temperature": sampling.temperature, "top_p": sampling.top_p, "max_tokens": sampling.max_tokens}
    if sampling.stop:
        fields |= {"stop": list(sampling.stop), "verbose": True}  # else it does not tell which of them it was
    if sampling.logprobs:
        fields |= {"logprobs": True, "top_logprobs": 1} if chat else {"logprobs": 1}
    if request.seed is not None:
        fields["seed"] = request.seed % (1 << 32)
    return chat, {**fields, **model.extra_body, **(request.extra_body or {})}


def _prompt_fields(prompt: str | tuple[Message, ...], *, chat: bool) -> dict[str, Any]:
    if isinstance(prompt, str):
        return {"prompt": prompt}
    if not chat:
        return {"prompt": _joined(prompt)}
    return {"messages": [{"role": turn.role, "content": turn.content} for turn in prompt], "reasoning_format": "none"}


def _joined(turns: tuple[Message, ...]) -> str:
    """A conversation as text; the assistant's last turn, where it goes on, stands directly behind what it answers."""
    goes_on = any(turn.role == "assistant" for turn in turns[-1:])
    said = turns[:-1] if goes_on else turns
    return "\n\n".join(turn.content for turn in said) + (turns[-1].content if goes_on else "")


class _Delta(msgspec.Struct, gc=False):
    content: str | None = None


class _Token(msgspec.Struct, gc=False):
    logprob: float | None = None


class _Logprobs(msgspec.Struct, gc=False):
    content: list[_Token] | None = None


class _Choice(msgspec.Struct, gc=False):
    text: str | None = None
    delta: _Delta | None = None
    logprobs: _Logprobs | None = None
    finish_reason: str | None = None


class _Timings(msgspec.Struct, gc=False):
    cache_n: int = 0
    prompt_n: int = 0
    predicted_n: int = 0


class _Verbose(msgspec.Struct, gc=False):
    stop_type: str = ""
    stopping_word: str = ""


class _Error(msgspec.Struct, gc=False):
    message: str = "no reason given"
    code: int = 500
    type: str = ""
    n_prompt_tokens: int = 0
    n_ctx: int = 0


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    timings: _Timings | None = None
    error: _Error | None = None
    verbose: _Verbose | None = msgspec.field(name="__verbose", default=None)


class EmbeddedAnswer:
    """What has been read of one answer so far.

    Attributes:
        fault: what llama.cpp said against the request.
    """

    def __init__(self) -> None:
        self.fault: EngineError | None = None
        self._parts: list[str] = []
        self._logprobs = LogprobMeans()
        self._timings = _Timings()
        self._finish_reason: str | None = None
        self._stopped_at: str | None = None

    @property
    def ended(self) -> bool:
        """Whether its last token has come."""
        return self._finish_reason is not None

    @property
    def tokens(self) -> int:
        """Generated tokens so far, those of a stop string and the end of text included."""
        return self._timings.predicted_n

    @property
    def prompt_tokens(self) -> int | None:
        """Tokens of the prompt; None while it is still being read."""
        return self._timings.cache_n + self._timings.prompt_n if self.tokens else None

    def read(self, given: object) -> None:
        """Take in a chunk."""
        try:
            chunk = msgspec.convert(given, _Chunk)
        except msgspec.ValidationError as fault:
            self.fault = EngineError(f"llama.cpp gave an answer that cannot be read: {fault}", retryable=False)
            return
        if chunk.error is not None:
            self.fault = _told(chunk.error)
        if chunk.timings is not None:
            self._timings = chunk.timings
        if chunk.verbose is not None and chunk.verbose.stop_type == "word":
            self._stopped_at = chunk.verbose.stopping_word
        for choice in chunk.choices or ():
            self._take(choice)

    def report(self, id: RequestId) -> Report:
        """What there is of it, while it grows."""
        return Report(id=id, text="".join(self._parts), tokens=self.tokens, lowest_logprob=self._logprobs.lowest)

    def cancelled(self, request: Request) -> Completion:
        """What there is of it."""
        return self._as(Finish.CANCELLED, request)

    def completion(self, request: Request) -> Completion:
        """The result of the request.

        Raises:
            EngineError: it has none.
        """
        if self.fault is not None:
            raise self.fault
        if self._finish_reason is None:
            raise EngineError("llama.cpp ended the answer before its end", retryable=True)
        if not self.tokens:
            raise EngineError("the prompt is empty, or holds no symbol that the model knows", retryable=False)
        if self._finish_reason != "length":
            return self._as(Finish.STOP, request)
        if self.tokens < request.sampling.max_tokens:
            context = (self.prompt_tokens or 0) + self.tokens
            raise EngineError(
                f"the prompt has {self.prompt_tokens} tokens and max_tokens is {request.sampling.max_tokens}, and after"
                f" {self.tokens} tokens the context of {context} was full; raise --context or lower --max-tokens",
                retryable=False,
            )
        return self._as(Finish.LENGTH, request)

    def _as(self, finish: Finish, request: Request) -> Completion:
        return Completion(
            id=request.id,
            text="".join(self._parts),
            finish=finish,
            tokens=self.tokens,
            prompt_tokens=self.prompt_tokens,
            mean_logprob=self._logprobs.mean,
            tail_logprob=self._logprobs.tail,
            lowest_logprob=self._logprobs.lowest,
            stopped_at=self._stopped_at,
        )

    def _take(self, choice: _Choice) -> None:
        text = choice.delta.content if choice.delta is not None else choice.text
        if text:
            self._parts.append(text)
        if choice.finish_reason is not None:
            self._finish_reason = choice.finish_reason
        for token in (choice.logprobs.content if choice.logprobs is not None else None) or ():
            if token.logprob is not None:
                self._logprobs.add(token.logprob)


def _told(error: _Error) -> EngineError:
    if error.type == _TOO_LONG:
        return EngineError(
            f"the prompt has {error.n_prompt_tokens} tokens, and the context {error.n_ctx}; raise --context",
            retryable=False,
        )
    return EngineError(f"llama.cpp: {one_line(error.message)}", retryable=error.code >= 500)
