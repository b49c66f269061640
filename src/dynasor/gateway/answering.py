"""What a client is told of a program that has ended: OpenAI's objects, with all that was spent. It starts nothing.

`usage` counts everything: probes, branches that were cut, attempts that failed. What of it is not in the text that the
client gets are reasoning tokens, as OpenAI has it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dynasor.errors import EngineError
from dynasor.gateway.reasoning_candidates import Alternative, Candidate, best, candidates, ranked
from dynasor.gateway.reasoning_question import Question
from dynasor.gateway.refusals import Refused
from dynasor.gateway.saving import saved_tokens
from dynasor.programs.program import Program
from dynasor.programs.session import Outcome
from dynasor.request import Completion, RequestId, ToolCall
from dynasor.runtime.ticket import Ticket

UNCERTAIN_BELOW = 0.5
"""Certaindex below which an answer is called uncertain: of five branches, three that agree are not, two are."""

_CALLERS_FAULTS = ("400 ", "404 ", "413 ", "422 ")  # what begins the words of a backend that refuses a request
_THOUGHT, _THOUGHT_END = "<think>", "</think>"


@dataclass(frozen=True, slots=True)
class Head:
    """What is the same in all objects of one answer.

    Attributes:
        created_at: in seconds of the epoch.
        model: as the client named it.
    """

    id: str
    created_at: int
    model: str
    is_chat: bool

    def object(self, choices: Sequence[Mapping[str, Any]], *, chunk: bool = False, **more: Any) -> dict[str, Any]:
        """An object with such choices."""
        kind = "text_completion" if not self.is_chat else "chat.completion.chunk" if chunk else "chat.completion"
        head = {"id": self.id, "object": kind, "created": self.created_at, "model": self.model}
        return {**head, "choices": list(choices), **more}


@dataclass(frozen=True, slots=True)
class Reply:
    """What a program came to.

    Attributes:
        choices: the branches that are told, the answer's own first.
        usage: as OpenAI has it.
        told: the field `dynasor`.
    """

    choices: tuple[Candidate, ...]
    usage: Mapping[str, Any]
    told: Mapping[str, Any]


def reply_of(ticket: Ticket, outcome: Outcome, question: Question, *, alternatives: bool) -> Reply:
    """What a program that has ended came to.

    Raises:
        Refused: every branch failed, by what the request asks.
        EngineError: every branch failed otherwise.
    """
    program = ticket.program
    found = candidates(program, ticket.completions)
    if not found:
        raise _failed(outcome)
    answers = ranked(program, found, outcome.answer)
    choices = tuple(best(answers, question.count))
    told = _told(program, outcome, ticket.completions, len(found))
    if alternatives:
        told["alternatives"] = [_alternative(answer) for answer in answers if answer.answer is not None]
    return Reply(choices, usage(ticket.completions, outcome.tokens, sum(choice.tokens for choice in choices)), told)


def usage(ended: Mapping[RequestId, Completion], tokens: int, shown_tokens: int) -> dict[str, Any]:
    """What was spent. The prompt counts once, as it does for many choices of one request."""
    prompts = [completion.prompt_tokens for completion in ended.values() if completion.prompt_tokens is not None]
    prompt_tokens = min(prompts, default=0)
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": tokens,
        "total_tokens": prompt_tokens + tokens,
        "completion_tokens_details": {"reasoning_tokens": max(0, tokens - shown_tokens)},
    }


def whole(head: Head, reply: Reply) -> dict[str, Any]:
    """The answer that is not streamed."""
    choices = [
        {"index": place, **_content(choice, head), "logprobs": None, "finish_reason": finish_reason(choice)}
        for place, choice in enumerate(reply.choices)
    ]
    return head.object(choices, usage=reply.usage, dynasor=reply.told)


def finish_reason(choice: Candidate) -> str:
    """Why the text ends there."""
    if choice.calls:
        return "tool_calls"
    return "stop" if choice.is_whole else "length"


def told_apart(text: str, *, ended: bool) -> tuple[str, str]:
    """Thoughts and what is said, of a text that begins with thoughts; of one that grows, as far as that is certain."""
    if not text.startswith(_THOUGHT):
        return "", text
    thought, end, said = text.removeprefix(_THOUGHT).partition(_THOUGHT_END)
    if not end and not ended:
        thought = thought[: len(thought) - _overlap(thought, _THOUGHT_END)]
    return thought, said.lstrip("\n")


def calls_told(calls: Sequence[ToolCall], head: Head) -> list[dict[str, Any]]:
    """Tool calls in OpenAI's form."""
    return [
        {
            "id": call.id or f"call_{head.id[-12:]}_{place}",
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for place, call in enumerate(calls)
    ]


def _content(choice: Candidate, head: Head) -> dict[str, Any]:
    if not head.is_chat:
        return {"text": choice.text}
    thought, said = told_apart(choice.text, ended=True)
    message: dict[str, Any] = {"role": "assistant", "content": said if said or not choice.calls else None}
    if thought:
        message["reasoning_content"] = thought
    if choice.calls:
        message["tool_calls"] = calls_told(choice.calls, head)
    return {"message": message}


def _told(
    program: Program, outcome: Outcome, ended: Mapping[RequestId, Completion], branch_count: int
) -> dict[str, Any]:
    return {
        "answer": outcome.answer,
        "certaindex": outcome.certaindex,
        "uncertain": outcome.answer is None or outcome.certaindex < UNCERTAIN_BELOW,
        "stopped_by": outcome.stopped_by,
        "knob": outcome.knob,
        "cap": program.setup.cap,
        "branches": branch_count,
        "requests": len(ended),
        "cut": outcome.cut_count,
        "failed": outcome.failed_count,
        "tokens": outcome.tokens,
        "cut_tokens": outcome.cut_tokens,
        "saved_tokens": saved_tokens(program, outcome),
    }


def _alternative(alternative: Alternative) -> dict[str, Any]:
    branches = alternative.branches
    told = {"answer": alternative.answer, "votes": len(branches), "text": branches[0].text}
    return told if alternative.weight == len(branches) else {**told, "weight": alternative.weight}


def _failed(outcome: Outcome) -> Exception:
    fault = outcome.fault or "no branch came to an end"
    if fault.startswith(_CALLERS_FAULTS):
        return Refused(int(fault[:3]), f"the backend refuses the request: {fault[4:]}", "invalid_value")
    return EngineError(f"every branch failed: {fault}", retryable=False)


def _overlap(text: str, mark: str) -> int:
    """The characters at the end of a text that may be the beginning of a mark."""
    return next((size for size in range(len(mark) - 1, 0, -1) if text.endswith(mark[:size])), 0)
