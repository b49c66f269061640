"""Requests as servers of the OpenAI HTTP API are sent them. It knows no sockets and no answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from dynasor.engines.endpoint import Endpoint
from dynasor.engines.openai_wire import Refusal
from dynasor.errors import EngineError
from dynasor.inside.tags import LONGEST_NAME, Tags
from dynasor.inside.tags import encoded as entries_of
from dynasor.request import Message, Request

_RENAMING: Final = ("unsupported", "not supported", "instead")
_UNKNOWN: Final = ("unknown", "unrecognized", "unexpected", "unsupported", "not supported", "not permitted", "extra")
_TAGGED: Final = {"vllm-plugin": "vllm_xargs", "sglang-plugin": "custom_params"}
_PRIORITIES: Final[Mapping[str, Callable[[int], float]]] = {
    "vllm": lambda tokens: tokens,
    "sglang": lambda tokens: -tokens,
    "sglang-low-first": lambda tokens: tokens,
    "trtllm": lambda tokens: 1.0 / (1.0 + tokens / 1024),  # any that falls: a half at 1024
}
_STARTED_WITH: Final = {
    "vllm": "--scheduling-policy priority",
    "trtllm": "scheduler_config: {waiting_queue_policy: priority} in its --config",
}
_GOING_ON: Final = {"add_generation_prompt": False, "continue_final_message": True}


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a server is believed to understand; it starts hopeful, and gives way to refusals.

    Attributes:
        told_to_go_on: whether it is told to go on with a last turn of the assistant, in the words of vLLM and SGLang. A
            server that does not know these is taken to do so by itself, as llama.cpp's does.
    """

    usage_in_stream: bool = True
    max_tokens_name: str = "max_tokens"
    told_to_go_on: bool = True

    def adapted(self, fault: EngineError) -> "Dialect | None":
        """Give the dialect that this refusal asks for; None where it asks for none other."""
        if not isinstance(fault, Refusal) or fault.status != 400:
            return None
        told = fault.told.lower()
        if self.usage_in_stream and "stream_options" in told:
            return replace(self, usage_in_stream=False)
        # A server that knows the words may refuse the turn itself; without them it would answer anew.
        unknown = any(word in told for word in _UNKNOWN)
        if self.told_to_go_on and unknown and any(name in told for name in _GOING_ON):
            return replace(self, told_to_go_on=False)
        # "max_completion_tokens is too large" names it too, and must stay an error.
        renamed = "max_completion_tokens" in told and any(word in told for word in _RENAMING)
        if renamed and self.max_tokens_name == "max_tokens":
            return replace(self, max_tokens_name="max_completion_tokens")
        return None


def encoded(
    request: Request, endpoint: Endpoint, model: str | None, dialect: Dialect, sender: str = ""
) -> tuple[str, bytes]:
    """Give the path below the endpoint's url, and the JSON body.

    `sender` tells programs of the same name apart that come from different places; only a server's scheduler sees it.

    Raises:
        EngineError: a conversation for an endpoint that takes text only, or reports of what is not streamed.
    """
    if request.report_every is not None and not endpoint.stream:
        raise EngineError(
            "a request reports while it runs only where its answer is streamed; use --stream", retryable=False
        )
    chat = endpoint.api == "chat" or (endpoint.api == "auto" and not isinstance(request.prompt, str))
    fields = _chat_fields(request, dialect) if chat else _completions_fields(request)
    fields |= {"temperature": request.sampling.temperature, "top_p": request.sampling.top_p, "stream": endpoint.stream}
    if model is not None:
        fields["model"] = model
    if request.sampling.stop:
        fields["stop"] = request.sampling.stop
    fields |= _priority(request, endpoint, sender)
    if request.seed is not None:
        fields["seed"] = request.seed
    if endpoint.stream and dialect.usage_in_stream:
        fields["stream_options"] = {"include_usage": True}
    return "/chat/completions" if chat else "/completions", msgspec.json.encode(
        {**fields, **endpoint.extra_body, **(request.extra_body or {})}
    )


def _chat_fields(request: Request, dialect: Dialect) -> dict[str, object]:
    prompt = request.prompt
    messages = (Message("user", prompt),) if isinstance(prompt, str) else prompt
    fields: dict[str, object] = {"messages": messages, dialect.max_tokens_name: request.sampling.max_tokens}
    if dialect.told_to_go_on and any(turn.role == "assistant" for turn in messages[-1:]):
        fields |= _GOING_ON
    if request.sampling.logprobs:
        fields["logprobs"] = True
    return fields


def _priority(request: Request, endpoint: Endpoint, sender: str) -> dict[str, object]:
    """The estimated remaining tokens of the request's program, so that less comes first."""
    if endpoint.priority == "none" or request.remaining_tokens is None:
        return {}
    if endpoint.priority in _TAGGED:
        tags = Tags(program=f"{sender}/{request.id.program}"[:LONGEST_NAME], remaining_tokens=request.remaining_tokens)
        return {_TAGGED[endpoint.priority]: entries_of(tags)}
    return {"priority": _PRIORITIES[endpoint.priority](request.remaining_tokens)}


def explained(fault: EngineError, endpoint: Endpoint) -> EngineError:
    """A fault with the mend, where it is that the server takes no priorities."""
    if endpoint.priority == "none" or not isinstance(fault, Refusal) or fault.status not in (400, 422):
        return fault
    if "priority" not in fault.told.lower():
        return fault
    option = _STARTED_WITH.get(endpoint.priority, "--enable-priority-scheduling")
    mend = f"start it with {option}, or leave --priority out"
    return EngineError(f"the server takes no priorities ({fault}); {mend}", retryable=False)


def _completions_fields(request: Request) -> dict[str, object]:
    if not isinstance(request.prompt, str):
        raise EngineError("the completions api takes text, not messages; set api to 'chat' or 'auto'", retryable=False)
    fields: dict[str, object] = {"prompt": request.prompt, "max_tokens": request.sampling.max_tokens}
    if request.sampling.logprobs:
        fields["logprobs"] = 1  # some servers take 0 for "none"
    return fields
