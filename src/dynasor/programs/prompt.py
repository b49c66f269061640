"""How a question becomes a prompt."""

from dataclasses import dataclass
from string import Formatter

from dynasor.errors import UsageError
from dynasor.request import Message, Prompt

STEP_BY_STEP = "{question}\n\nReason step by step, and put your final answer within \\boxed{{}}."


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """A template with the field {question}; literal braces are doubled.

    Attributes:
        template: the user's turn, or the whole text where `chat` is False.
        system: the system's turn; none where it is empty.
        chat: whether the prompt is a conversation or plain text, which the system's turn then precedes.

    Raises:
        UsageError: where the template has no {question}, or another field.
    """

    template: str = STEP_BY_STEP
    system: str = ""
    chat: bool = True

    def __post_init__(self) -> None:
        """Find out at once, not at the first problem."""
        fields = _fields(self.template)
        if not fields:
            raise UsageError("the prompt template has no {question}; put it where the question belongs")
        for field in fields:
            if field != "question":
                raise UsageError(
                    f"the prompt template has a field that is not {{question}} ({{{field}}}); double literal braces:"
                    " {{ }}"
                )

    def fill(self, question: str) -> Prompt:
        """The prompt of one question."""
        text = self.template.format(question=question)
        if not self.chat:
            return f"{self.system}\n\n{text}" if self.system else text
        turns = (Message("system", self.system),) if self.system else ()
        return (*turns, Message("user", text))


def _fields(template: str) -> list[str]:
    """All fields, as they are written."""
    try:
        parsed = list(Formatter().parse(template))
    except ValueError as fault:
        raise UsageError(f"the prompt template is torn ({fault}); double literal braces: {{{{ }}}}") from fault
    return [
        name + (f"!{conversion}" if conversion else "") + (f":{format}" if format else "")
        for _, name, format, conversion in parsed
        if name is not None
    ]
