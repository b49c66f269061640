"""What a program's requests cost, one by one as they end. It does not know what they are for."""

from collections.abc import Callable
from dataclasses import dataclass

from dynasor.request import Completion, Finish


@dataclass(slots=True)
class Ledger:
    """Running totals.

    Attributes:
        tokens: all generated tokens, those of cut requests included.
        cut_tokens: of these, what cut requests had generated.
        cut_count, failed_count: requests that were cut, and that failed for good.
        unknown_count: requests whose server did not tell their tokens; they are counted at what the caller expects.
        fault: why the last failed one did.
    """

    tokens: int = 0
    cut_tokens: int = 0
    cut_count: int = 0
    failed_count: int = 0
    unknown_count: int = 0
    fault: str | None = None

    def enter(self, completion: Completion, expected: Callable[[], int], *, cut: bool) -> None:
        """Count a request that has ended; `expected` gives the tokens of one whose server did not tell."""
        tokens = expected() if completion.tokens is None else completion.tokens
        self.tokens += tokens
        self.unknown_count += completion.tokens is None
        if completion.finish is Finish.FAILED:
            self.failed_count += 1
            self.fault = completion.error
        if cut:
            self.cut_count += 1
            self.cut_tokens += tokens
