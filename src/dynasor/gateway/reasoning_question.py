"""What a request asks a model: its prompt, how branches are drawn, and what its answers look like.

What is not read here is the backend's own, and goes with every request of the program. It does not know which reasoning
is asked for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec

from dynasor.gateway.call import Call
from dynasor.gateway.reasoning_settings import ReasoningSettings
from dynasor.gateway.refusals import Refused
from dynasor.request import Message, Prompt, Sampling

_ROLES = frozenset({"system", "developer", "user", "assistant"})
_MOST_STOPS = 16
_MEANINGLESS = ("logprobs", "top_logprobs", "best_of", "echo", "suffix", "functions", "function_call", "audio")
_OURS = frozenset(
    {
        *("model", "messages", "prompt", "temperature", "top_p", "max_tokens", "max_completion_tokens", "stop", "seed"),
        *("n", "stream", "stream_options", "dynasor", "adaptive_compute", "program_id", "session_id", "user", "store"),
        *("metadata", "service_tier", *_MEANINGLESS),
    }
)
_HARMLESS = (("best_of", 1), ("top_logprobs", 0), ("suffix", ""))
_SCHEMAS = frozenset({"guided_json", "structured_outputs"})


class Shape(StrEnum):
    """What answers look like."""

    TEXT = "text"  # an answer is read from it
    JSON = "json"  # the whole of it is the answer
    CALLS = "calls"  # the tools that are to be called are


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked.

    Attributes:
        prompt: for continuing algorithms; where `own_messages`, only about what the model is asked.
        own_messages: the messages hold more than text, and go to the backend as they came, with every request.
        seed: None: nobody asks for the same again.
        extra_body: all other fields.
        count: answers that are wanted.
        is_chat: whether a conversation is asked for, or plain text.
        with_usage: whether a stream tells at its end what was spent.
    """

    prompt: Prompt
    sampling: Sampling
    shape: Shape = Shape.TEXT
    own_messages: bool = False
    seed: int | None = None
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    count: int = 1
    is_chat: bool = True
    streams: bool = False
    with_usage: bool = False


class _StreamOptions(msgspec.Struct):
    include_usage: bool = False


class _Body(msgspec.Struct):
    """The fields that are read here."""

    messages: list[dict[str, Any]] | None = None
    prompt: str | list[Any] | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    n: int | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    tools: list[Any] | None = None
    tool_choice: Any = None
    response_format: dict[str, Any] | None = None


def read_question(call: Call, settings: ReasoningSettings) -> Question:
    """Read a request that asks for reasoning.

    Raises:
        Refused: 400, with the field and the mend.
    """
    try:
        fields: dict[str, Any] = msgspec.json.decode(call.body)
        body = msgspec.convert(fields, _Body)
    except msgspec.ValidationError as fault:
        where = str(fault).partition("`$.")[2].rstrip("`")
        raise _refused(f"the body cannot be read: {fault}", where.partition("[")[0].partition(".")[0]) from None
    _refuse_meaningless(fields)
    is_chat = call.path.startswith("/chat")
    extra = {name: value for name, value in fields.items() if name not in _OURS and value is not None}
    if call.asked.reasoning_effort in settings.efforts:
        del extra["reasoning_effort"]
    prompt, plain = _conversation(body) if is_chat else (_text(body), True)
    if not plain:
        extra["messages"] = body.messages
    return Question(
        prompt=prompt,
        sampling=_sampling(body, settings),
        shape=_shape(body, fields),
        own_messages=not plain,
        seed=body.seed,
        extra_body=extra,
        count=body.n or 1,
        is_chat=is_chat,
        streams=bool(body.stream),
        with_usage=bool(body.stream_options and body.stream_options.include_usage),
    )


def _refuse_meaningless(fields: Mapping[str, Any]) -> None:
    for name in _MEANINGLESS:
        value = fields.get(name)
        if value is None or value is False or (name, value) in _HARMLESS:
            continue
        raise _refused(f"{name} has no meaning for an answer that many branches have voted for; leave it out", name)


def _sampling(body: _Body, settings: ReasoningSettings) -> Sampling:
    temperature = settings.temperature if body.temperature is None else body.temperature
    top_p = 1.0 if body.top_p is None else body.top_p
    limit = body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens
    stops = (body.stop,) if isinstance(body.stop, str) else tuple(body.stop or ())
    if not 0 <= temperature <= 2:
        raise _refused(f"temperature is {temperature}; it must be 0 to 2", "temperature")
    if not 0 < top_p <= 1:
        raise _refused(f"top_p is {top_p}; it must be more than 0, and 1 at most", "top_p")
    if limit is not None and limit < 1:
        name = "max_tokens" if body.max_completion_tokens is None else "max_completion_tokens"
        raise _refused(f"{name} is {limit}; it must be 1 or more", name)
    if len(stops) > _MOST_STOPS or not all(stops):
        raise _refused(f"stop must be up to {_MOST_STOPS} texts, none of them empty", "stop")
    return Sampling(temperature=temperature, top_p=top_p, max_tokens=limit or settings.max_tokens, stop=stops)


def _shape(body: _Body, fields: Mapping[str, Any]) -> Shape:
    if body.tools and body.tool_choice != "none":
        return Shape.CALLS
    wanted = (body.response_format or {}).get("type", "text")
    return Shape.TEXT if wanted == "text" and _SCHEMAS.isdisjoint(fields) else Shape.JSON


def _text(body: _Body) -> str:
    prompt = body.prompt[0] if isinstance(body.prompt, list) and len(body.prompt) == 1 else body.prompt
    if not isinstance(prompt, str) or not prompt:
        raise _refused("prompt must be one text that is not empty; ask for each of several by itself", "prompt")
    return prompt


def _conversation(body: _Body) -> tuple[tuple[Message, ...], bool]:
    """The turns as text, and whether that is all that there is to them."""
    if not body.messages:
        raise _refused("messages is empty; give at least one, such as {'role': 'user', 'content': '...'}", "messages")
    turns, plain = [], True
    for place, turn in enumerate(body.messages):
        role, content = turn.get("role"), turn.get("content")
        if not isinstance(role, str):
            raise _refused(f"messages[{place}] has no role; give it one, such as user", "messages")
        text = content if isinstance(content, str) else _joined(content if isinstance(content, list) else ())
        plain &= role in _ROLES and text is not None and content is not None and turn.keys() <= {"role", "content"}
        turns.append(Message(role, text or ""))
    return tuple(turns), plain


def _joined(parts: Sequence[Any]) -> str | None:
    """The text of a content in parts; None where one of them is no text."""
    texts = [part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None for part in parts]
    return None if None in texts or not all(isinstance(text, str) for text in texts) else "".join(map(str, texts))


def _refused(told: str, field: str) -> Refused:
    return Refused(400, told, "invalid_value", field or None)
