"""What spans say, in the words of OpenTelemetry's conventions for HTTP and for generative AI, and in ours beyond them.

Values only: of a request what it asks and what it took, never a prompt, an answer or a key.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from dynasor.engines.openai_wire import Refusal
from dynasor.errors import EngineError
from dynasor.gateway.call import Call
from dynasor.gateway.observation import Seen
from dynasor.gateway.reasoning_wish import Wish
from dynasor.gateway.saving import saved_tokens
from dynasor.programs.program import Program
from dynasor.programs.session import Outcome
from dynasor.request import Completion, Request

Attributes = Mapping[str, str | bool | int | float | tuple[str, ...]]

OPERATION, MODEL, ERROR = "gen_ai.operation.name", "gen_ai.request.model", "error.type"
WORKFLOW = "invoke_workflow"
BROKE_OFF = "backend_broke_off"
_PROVIDER = {"gen_ai.provider.name": "openai"}  # whose form of the API is spoken
_LONGEST = 200  # characters of a model's name


def operation_of(call: Call) -> str:
    """What is asked of a model."""
    return "chat" if call.path.startswith("/chat") else "text_completion"


def model_of(call: Call) -> str:
    """As the client names it; empty where it does not."""
    return (call.asked.model or "")[:_LONGEST]


def of_exchange(seen: Seen, error: str | None) -> Attributes:
    """Of a request to the gateway."""
    told: dict[str, str | bool | int] = {
        "http.request.method": seen.exchange.method,
        "http.route": seen.route,
        "url.path": seen.route,
        "url.scheme": "http",
        "http.response.status_code": seen.exchange.status,
    }
    if error is not None:
        told[ERROR] = error
    if seen.reason is not None:
        told["dynasor.reason"] = seen.reason
    if seen.call is not None:
        told["dynasor.tenant"] = seen.call.tenant.name
        told |= _conversation(seen.call)
    return told


def of_passed_on(call: Call, backend: str, error: str | None) -> Attributes:
    """Of a request that was passed on."""
    told: dict[str, str | bool | int | float] = {OPERATION: operation_of(call), **_PROVIDER, **_server(backend)}
    told |= _conversation(call) | {"gen_ai.request.stream": bool(call.asked.stream)}
    if model := model_of(call):
        told[MODEL] = model
    if call.asked.answer_tokens is not None:
        told["gen_ai.request.max_tokens"] = call.asked.answer_tokens
    if call.asked.choices != 1:
        told["gen_ai.request.choice.count"] = call.asked.choices
    if call.asked.stream and call.first_at is not None and call.started_at is not None:
        told["gen_ai.response.time_to_first_chunk"] = call.first_at - call.started_at
    told |= _usage(call.spent.prompt_tokens, call.spent.completion_tokens)
    return told if error is None else told | {ERROR: error}


def of_program(call: Call, wish: Wish, program: Program) -> Attributes:
    """Of a program that answers a request, whatever comes of it."""
    told: dict[str, str | bool | int | float] = {
        OPERATION: WORKFLOW,
        "gen_ai.workflow.name": wish.algorithm,
        **_conversation(call),
        "dynasor.program": program.id,
        "dynasor.cap": program.setup.cap,
        "dynasor.knob": program.knob,
        "dynasor.certaindex": program.certaindex,
    }
    return told | {MODEL: wish.model} if wish.model else told


def of_outcome(program: Program, outcome: Outcome) -> Attributes:
    """Of one that has answered."""
    told: dict[str, str | bool | int | float] = {
        "dynasor.stopped_by": outcome.stopped_by,
        "dynasor.answered": outcome.answer is not None,
        "dynasor.certaindex": outcome.certaindex,
        "dynasor.knob": outcome.knob,
        "dynasor.cut": outcome.cut_count,
        "dynasor.failed": outcome.failed_count,
        "dynasor.cut_tokens": outcome.cut_tokens,
        "gen_ai.usage.output_tokens": outcome.tokens,
    }
    saved = saved_tokens(program, outcome)
    return told if saved is None else told | {"dynasor.saved_tokens": saved}


def of_branch(request: Request, operation: str, model: str, url: str) -> Attributes:
    """Of a branch or a probe, as it was asked."""
    sampling = request.sampling
    told: dict[str, str | bool | int | float | tuple[str, ...]] = {
        OPERATION: operation,
        **_PROVIDER,
        **_server(url),
        "gen_ai.request.max_tokens": sampling.max_tokens,
        "gen_ai.request.temperature": float(sampling.temperature),
        "gen_ai.request.top_p": float(sampling.top_p),
        "dynasor.request": request.id.index,
        "dynasor.kind": "probe" if request.optional else "branch",
    }
    if model:
        told[MODEL] = model
    return told if request.seed is None else told | {"gen_ai.request.seed": request.seed}


def of_completion(completion: Completion) -> Attributes:
    """Of one that has ended."""
    told: Attributes = {"gen_ai.response.finish_reasons": (completion.finish.value,)}
    if completion.tokens is None:
        return told
    return {**told, **_usage(completion.prompt_tokens or 0, completion.tokens)}


def of_lost_attempt(url: str, fault: EngineError | str) -> Attributes:
    """Of an attempt that a backend lost: who, and a word for it."""
    return {**_server(url), ERROR: fault if isinstance(fault, str) else word_for(fault)}


def word_for(fault: EngineError) -> str:
    """One of few words; what the backend says of it may quote anything."""
    return str(fault.status) if isinstance(fault, Refusal) else BROKE_OFF


def _conversation(call: Call) -> dict[str, str]:
    return {} if call.identity.id is None else {"gen_ai.conversation.id": call.identity.id}


def _usage(prompt_tokens: int, tokens: int) -> dict[str, int]:
    told = {"gen_ai.usage.output_tokens": tokens}
    return told | {"gen_ai.usage.input_tokens": prompt_tokens} if prompt_tokens else told


def _server(url: str) -> dict[str, str | int]:
    parts = urlsplit(url)
    if parts.hostname is None:
        return {}
    return {"server.address": parts.hostname, "server.port": parts.port or (443 if parts.scheme == "https" else 80)}
