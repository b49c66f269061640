"""Probes: short requests beside a chain of thought that elicit its current answer (paper 5.1).

The constants are those that existing clients of the method know: the words that elicit an answer, and those that tell
that the chain is not sure. It reads texts; it does not know when to probe, nor what follows from it.
"""

import re
from dataclasses import dataclass
from typing import Final

from dynasor.allocation.bounds import at_least
from dynasor.answers.extract import Extractor
from dynasor.errors import UsageError

BOXED: Final = "... Oh, I suddenly got the answer to the whole problem, **Final Answer**\n\n\\[ \\boxed{"
HESITATIONS: Final = ("wait", "hold", "but", "okay", "no", "hmm")
EFFORTS: Final = {"mild": (8, 64), "low": (5, 64), "mid": (3, 64), "high": (2, 64), "crazy": (2, 32)}
"""Effort -> (window, interval): how much is saved, from little to much."""

_END_OF_THOUGHT = "</think>"
_HESITATING = re.compile(rf"\b(?:{'|'.join(HESITATIONS)})\b", re.IGNORECASE)
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Probing:
    r"""How a chain is probed.

    Attributes:
        interval: generated tokens between two probes: one refinement round.
        window: how many of the last probes have to agree.
        tokens: the most tokens of a probe.
        temperature, top_p: of a probe.
        suffix: what is put behind the chain so that an answer follows; `\n` may be written with a backslash.
        chains: how many chains are probed together.
        effort: a name for interval and window together; "" for none.

    Raises:
        UsageError: for a number that cannot be, or an effort that is not known.
    """

    interval: int = 32
    window: int = 2
    tokens: int = 20
    temperature: float = 0.6
    top_p: float = 0.95
    suffix: str = BOXED
    chains: int = 1
    effort: str = ""

    def __post_init__(self) -> None:
        """Read the effort, and refuse what cannot be."""
        object.__setattr__(self, "suffix", self.suffix.replace("\\n", "\n"))
        if self.effort:
            if self.effort not in EFFORTS:
                raise UsageError(f"effort is '{self.effort}'; it must be one of {', '.join(EFFORTS)}")
            for name, value in zip(("window", "interval"), EFFORTS[self.effort], strict=True):
                object.__setattr__(self, name, value)
        for name in ("interval", "window", "tokens", "chains"):
            at_least(name, getattr(self, name), 1)
        if not self.suffix:
            raise UsageError("the probe's suffix is empty; nothing would make the model answer")

    def behind(self, text: str) -> str:
        """What follows the chain in a probe: a suffix for the final answer comes after the end of thought."""
        return self.suffix if _END_OF_THOUGHT not in text else self.suffix.replace(_END_OF_THOUGHT, "").lstrip("\n")

    def answer(self, told: str, extract: Extractor) -> str | None:
        """The answer that a probe tells: up to the brace that closes the suffix's, else as it is extracted; or None."""
        if not self.suffix.endswith("{"):
            return extract(self.suffix + told)
        return within_brace(told) or None


def within_brace(text: str) -> str:
    """The text before the first brace that closes none of its own; empty where there is none: the answer is torn."""
    depth = 0
    for match in _BRACE.finditer(text):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if depth < 0:
            return text[: match.start()].strip()
    return ""


def hesitates(text: str) -> bool:
    """Whether a probe's output holds a word of hesitation: as a word, so that "know" is none."""
    return _HESITATING.search(text) is not None


def has_concluded(text: str) -> bool:
    """Whether a chain has come to the end of its thoughts and writes its answer."""
    return _END_OF_THOUGHT in text
