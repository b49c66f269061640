"""What servers of the OpenAI HTTP API say, as values: bytes become a completion, a report or a fault.

It knows no sockets, no time and no secrets; what is sent is the matter of `openai_request`. One struct reads whole
answers and streamed chunks alike: an answer that is not streamed is a stream of one chunk.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from dynasor.engines.logprobs import LogprobMeans
from dynasor.engines.retrying import MENDED_BY_HAND, NOT_IN_THIS_RUN_S, RETRYABLE_STATUSES
from dynasor.errors import EngineError
from dynasor.request import Completion, Finish, Report, Request, RequestId, ToolCall

_FINISH: Final = {"length": Finish.LENGTH, "max_tokens": Finish.LENGTH, "model_length": Finish.LENGTH}
_ABORTED: Final = ("abort", "error")  # vLLM and SGLang: someone else ended it at the server


class Refusal(EngineError):
    """The server answered a request with an error status."""

    def __init__(self, status: int, told: str, *, retry_after_s: float | None = None) -> None:
        of_the_server = status in MENDED_BY_HAND
        super().__init__(
            f"{status} {told}",
            retryable=of_the_server or status in RETRYABLE_STATUSES,
            retry_after_s=NOT_IN_THIS_RUN_S if of_the_server else retry_after_s,
        )
        self.status = status
        self.told = told


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class _CallPart(msgspec.Struct, gc=False):
    index: int | None = None  # streamed: whose part it is
    id: str | None = None
    function: _Function | None = None


class _Part(msgspec.Struct, gc=False):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_CallPart] | None = None


class _TokenLogprob(msgspec.Struct, gc=False):
    logprob: float | None = None


class _Logprobs(msgspec.Struct, gc=False):
    token_logprobs: list[float | None] | None = None  # completions
    content: list[_TokenLogprob] | None = None  # chat

    def values(self) -> list[float | None]:
        if self.content is not None:
            return [token.logprob for token in self.content]
        return self.token_logprobs or []


class _Choice(msgspec.Struct, gc=False):
    text: str | None = None  # completions
    delta: _Part | None = None  # chat, streamed
    message: _Part | None = None  # chat, whole
    finish_reason: str | None = None
    stop_reason: object = None  # vLLM: a stop string or the number of a token
    matched_stop: object = None  # SGLang: the same
    logprobs: _Logprobs | None = None


class _Usage(msgspec.Struct, gc=False):
    completion_tokens: int | None = None
    prompt_tokens: int | None = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: object = None


_decode_chunk: Final = msgspec.json.Decoder(_Chunk).decode


class Answer:
    """What has been read of one answer so far.

    The thoughts that a server tells apart (`reasoning_content`) come back into the text as `<think>...</think>`; the
    last tag is missing where the model never came to an end of thinking, as it is in a raw completion.
    """

    def __init__(self, *, streamed: bool) -> None:
        self._streamed = streamed
        self._parts: list[str] = []
        self._thinking = False
        self._calls: dict[int, ToolCall] = {}
        self._delta_count = 0
        self._logprob_tokens = 0
        self._logprobs = LogprobMeans()
        self._usage = _Usage()
        self._finish_reason: str | None = None
        self._stopped_at: object = None
        self._done = False

    @property
    def begun(self) -> bool:
        """Whether a token has come."""
        return self._delta_count > 0

    @property
    def ended(self) -> bool:
        """Whether its last token has come."""
        return self._finish_reason is not None

    @property
    def done(self) -> bool:
        """Whether the stream has told its own end."""
        return self._done

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self._parts)

    @property
    def tokens(self) -> int | None:
        """Generated tokens so far: as the server counts them, else by log-probabilities, else by deltas."""
        if self._usage.completion_tokens is not None:
            return self._usage.completion_tokens
        return self._logprob_tokens or (self._delta_count if self._streamed else None)

    def read(self, payload: bytes) -> None:
        """Take in the data of one event, or a whole body.

        Raises:
            EngineError: the server tells of an error.
            msgspec.DecodeError: these are not the bytes of an answer.
        """
        if payload == b"[DONE]":
            self._done = True
            return
        chunk = _decode_chunk(payload)
        if (chunk.choices is None and chunk.usage is None) or chunk.error is not None:
            _raise_told_error(payload)
        if chunk.usage is not None:
            self._usage = chunk.usage
        for choice in chunk.choices or ():
            self._take(choice)

    def end(self) -> None:
        """Check that nothing is missing.

        Raises:
            EngineError: the answer is cut off.
        """
        if self._finish_reason in _ABORTED:
            raise EngineError(f"the server ended the request itself ('{self._finish_reason}')", retryable=True)
        if self._finish_reason is None and not self._done:
            raise EngineError("the answer was cut off before its end", retryable=True)

    def completion(self, request: Request, spent_tokens: int) -> Completion:
        """The result of the request, with tokens that were spent on it before."""
        tokens = self.tokens
        stops = request.sampling.stop  # some servers name other things there, such as the end of text
        return Completion(
            id=request.id,
            text=self.text,
            finish=_FINISH.get(self._finish_reason or "", Finish.STOP),
            tokens=None if tokens is None else tokens + spent_tokens,
            prompt_tokens=self._usage.prompt_tokens,
            mean_logprob=self._logprobs.mean,
            tail_logprob=self._logprobs.tail,
            lowest_logprob=self._logprobs.lowest,
            stopped_at=next((stop for stop in stops if stop == self._stopped_at), None),
            calls=tuple(self._calls.values()),
        )

    def report(self, id: RequestId) -> Report:
        """What there is of it, while it is streamed."""
        return Report(id=id, text=self.text, tokens=self.tokens or 0, lowest_logprob=self._logprobs.lowest)

    def _take(self, choice: _Choice) -> None:
        part = choice.delta or choice.message
        thought = (part.reasoning_content or part.reasoning) if part is not None else None
        said = part.content if part is not None else choice.text
        if thought:
            self._parts.append(thought if self._thinking else f"<think>{thought}")
            self._thinking = True
        if said:
            self._parts.append(f"</think>{said}" if self._thinking else said)
            self._thinking = False
        called = part is not None and self._add_calls(part.tool_calls or ())
        if thought or said or called:
            self._delta_count += 1
        if choice.logprobs is not None:
            self._add_logprobs(choice.logprobs.values())
        if choice.finish_reason is not None:
            self._finish_reason = choice.finish_reason
            self._stopped_at = choice.stop_reason or choice.matched_stop

    def _add_calls(self, parts: Sequence[_CallPart]) -> bool:
        """Take in calls, or parts of them; returns whether there are any."""
        for place, part in enumerate(parts):
            index = place if part.index is None else part.index
            known = self._calls.get(index, ToolCall("", ""))
            said = part.function or _Function()
            self._calls[index] = ToolCall(
                known.name or said.name or "", known.arguments + (said.arguments or ""), known.id or part.id or ""
            )
        return bool(parts)

    def _add_logprobs(self, values: list[float | None]) -> None:
        self._logprob_tokens += len(values)
        for value in values:
            if value is not None:
                self._logprobs.add(value)


def _raise_told_error(payload: bytes) -> None:
    body = msgspec.json.decode(payload)
    told = server_words(body)
    if not told:
        return  # such as {}, which some servers send to keep a connection open
    codes = (str(part.get("code")) for part in (body, body.get("error")) if isinstance(part, dict))
    if status := next((int(code) for code in codes if code.isdecimal()), 0):
        raise Refusal(status, told)
    raise EngineError(f"error in the answer: {told}", retryable=True)


def refused(status: int, reason: str, body: bytes, retry_after_s: float | None) -> Refusal:
    """Put an error response into one line: the server's own words where it has any, else the name of the status."""
    try:
        told = server_words(msgspec.json.decode(body))
    except (msgspec.DecodeError, RecursionError):
        text = one_line(body.decode(errors="replace"))
        told = "" if text.startswith("<") else text  # a proxy's page tells less than the status
    return Refusal(status, told or reason, retry_after_s=retry_after_s)


def server_words(body: object, depth: int = 4) -> str:
    """The message in an error body; the field calls it `error.message`, `message`, `detail` or `detail[0].msg`."""
    if isinstance(body, str):
        return one_line(body)
    inner: Iterable[object] = ()
    if isinstance(body, dict):
        inner = (body.get(key) for key in ("error", "message", "detail", "msg"))
    elif isinstance(body, list):
        inner = body[:1]
    return next((words for part in inner if depth and (words := server_words(part, depth - 1))), "")


def one_line(text: str) -> str:
    """Take out line breaks and other runs of white space."""
    return " ".join(text.split())


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Model]


def model_names(body: bytes) -> tuple[str, ...]:
    """Read the answer of `/models`.

    Raises:
        msgspec.DecodeError: it is none.
    """
    return tuple(model.id for model in msgspec.json.decode(body, type=_Models).data)
