"""How a question becomes a prompt."""

from dataclasses import dataclass

from dynasor.errors import UsageError
from dynasor.request import Message, Prompt

STEP_BY_STEP = "{question}\n\nReason step by step, and put your final answer within \\boxed{{}}."


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """A template with the field {question}; literal braces are doubled.

    Attributes:
        template: the user's turn, or the whole text where `chat` is False.
        system: the system's turn; none where it is empty.
        chat: whether the prompt is a conversation or plain text.

    Raises:
        UsageError: where the template has no {question}, or another field.
    """

    template: str = STEP_BY_STEP
    system: str = ""
    chat: bool = True

    def __post_init__(self) -> None:
        """Find out at once, not at the first problem."""
        try:
            filled = self.template.format(question="\0")
        except (KeyError, IndexError, ValueError) as fault:
            raise UsageError(
                f"the prompt template has a field that is not {{question}} ({fault}); double literal braces: {{{{ }}}}"
            ) from fault
        if "\0" not in filled:
            raise UsageError("the prompt template has no {question}; put it where the question belongs")

    def fill(self, question: str) -> Prompt:
        """The prompt of one question."""
        text = self.template.format(question=question)
        if not self.chat:
            return text
        turns = (Message("system", self.system),) if self.system else ()
        return (*turns, Message("user", text))
