r"""The right answer out of what a data set gives for it: `#### 18`, `\boxed{18}`, or the answer itself.

Knows how answers are marked; knows nothing of files and columns.
"""

import re

from dynasor.answers.extract import EXTRACTORS

_LAST_LINE = re.compile(r"(?:\A|\n)####[ \t]*(\S[^\n]*?)\s*\Z")
_UNBRACED = re.compile(r"\\boxed[ \t]+([^\s{}$\\]*[^\s{}$\\.,])")  # as some solutions of MATH write it
_SEPARATED = re.compile(r"[-+]?\$?\d{1,3}(?:,\d{3})+(?:\.\d+)?")


def marked_answer(text: str) -> str | None:
    r"""The answer that a worked solution marks by a last line `#### x` or by `\boxed{x}`; None where it marks none.

    Thousands separators are taken out of `#### 1,234`.
    """
    if last := _LAST_LINE.search(text):
        return without_separators(last[1])
    if boxed := EXTRACTORS["boxed"](text):
        return boxed
    unbraced = _UNBRACED.findall(text)
    return unbraced[-1] if unbraced else None


def gold_answer(text: str) -> str:
    """The marked answer, or the whole text where none is marked."""
    return marked_answer(text) or text.strip()


def without_separators(text: str) -> str:
    """A number without its thousands separators; any other text as it is."""
    return text.replace(",", "") if _SEPARATED.fullmatch(text) else text
