"""Conversations as text, by the chat template of a GGUF file: what llama.cpp does for a policy, for who gives it text.

It knows no models. A template is a program of somebody else's: it runs in a sandbox and gets the turns, nothing more.
"""

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from dynasor.engines.embedded_file import GgufFile
from dynasor.engines.openai_wire import one_line
from dynasor.errors import EngineError, MissingExtra, UsageError
from dynasor.request import Message, Prompt

_Render = Callable[[Sequence[Message]], str]


class ChatText:
    """Makes text of prompts, as the embedded engine does: without a template, turns are joined by blank lines."""

    def __init__(self, file: GgufFile) -> None:
        """Read the template.

        Raises:
            MissingExtra: there is one, and what reads it is not installed.
            UsageError: it cannot be read.
        """
        template = file.metadata.get("tokenizer.chat_template")
        self._render = _rendering(template, file.path.name) if isinstance(template, str) and template else _joined

    def __call__(self, prompt: Prompt) -> str:
        """The text of a prompt; the assistant's last turn stands at its end as it is, and is not closed.

        Raises:
            EngineError: the template refuses these turns.
        """
        if isinstance(prompt, str):
            return prompt
        if prompt and prompt[-1].role == "assistant":
            return self._render(prompt[:-1]) + prompt[-1].content
        return self._render(prompt)


def _joined(turns: Sequence[Message]) -> str:
    return "\n\n".join(turn.content for turn in turns)


def _rendering(template: str, name: str) -> _Render:
    jinja2: Any
    try:
        import jinja2  # noqa: PLC0415  (optional)
        import jinja2.sandbox  # noqa: PLC0415
    except ImportError as missing:
        raise MissingExtra("the chat template of a GGUF model", "embedded") from missing
    sandbox = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    sandbox.globals["raise_exception"] = _refuse
    try:
        compiled = sandbox.from_string(template)
    except jinja2.TemplateError as fault:
        raise UsageError(f"the chat template of {name} cannot be read: {one_line(str(fault))}") from fault

    def once(turns: Sequence[Message]) -> str:
        told = [{"role": turn.role, "content": turn.content} for turn in turns]
        try:
            return str(compiled.render(messages=told, add_generation_prompt=True))
        except (jinja2.TemplateError, TypeError) as fault:
            refused = f"the chat template of {name} refuses a conversation: {one_line(str(fault))}"
            raise EngineError(refused, retryable=False) from fault

    def render(turns: Sequence[Message]) -> str:
        text = once(turns)
        return text if _is_heard(turns, text) else once(_with_system(turns))

    return render


def _is_heard(turns: Sequence[Message], text: str) -> bool:
    """Whether the template has a place for the system's turn, if there is one."""
    return len(turns) < 2 or turns[0].role != "system" or turns[0].content.strip() in text


def _with_system(turns: Sequence[Message]) -> Sequence[Message]:
    """The system's turn put into the next one, as llama.cpp does for a template without a place for it."""
    system, first, *others = turns
    return (Message(first.role, f"{system.content}\n{first.content}"), *others)


def _refuse(told: str) -> NoReturn:
    """What templates call `raise_exception`."""
    raise TypeError(told)
