r"""The answer in a completion's text. It knows the forms in which models state answers, and no problem or gold answer.

Every extractor takes time linear in the text. What a reasoning model said after its last `</think>` comes first; what
it only thought counts where it said nothing.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from dynasor.answers.code import extract_input, extract_output, extract_python

Extractor = Callable[[str], str | None]
"""text -> the answer it states; None where none could be extracted."""

MAX_ANSWER_LENGTH = 512
"""A longer match, in characters, is no answer but a passage of text."""

MAX_CODE_LENGTH = 64 * 1024
"""The most characters of a program."""

_END_OF_THOUGHT = re.compile(r"</think(?:ing)?>|<channel\|>|<\|channel\|>final<\|message\|>")
_MAX_STATEMENTS = 16  # the last statements that are looked into, so that hostile texts stay cheap

_MAX_LISTED = 32  # boxes that follow each other
_MAX_GAP = 32  # characters between them

_BRACE = re.compile(r"\\(?P<box>boxed|fbox)\s{0,8}\{|\\.|[{}]", re.DOTALL)
_LISTING = re.compile(r"(?:\s|\$|\\[()\[\]])*(?:[,;]|and\b|or\b)(?:\s|[$,;]|\\[()\[\]]|and\b|or\b)*")
_HASHES = re.compile(r"^####[ \t]{0,8}(\S[^\n]*)", re.MULTILINE)
_COUNTED = re.compile(r"[-+]?[$€£]?[0-9.,/]*[0-9]%?(?: [A-Za-z]+){0,3}\.?\s*")
_STATEMENT = re.compile(
    r"\bans(?:wer)?\b(?:\s(?:to|for|of)\s[^.:\n]{1,40}?)?[\s*_]{0,8}(?:(?:is|are|equals|(?:should|would|must)\sbe)\b|[:=])"
    r"[\s*_:]{0,16}(?:(?:therefore|thus|then|simply|indeed)\b[\s,:]{1,4})?",
    re.IGNORECASE,
)
_SENTENCE = re.compile(
    r"(?:\$\$[^$]{1,512}\$\$|\$[^$\n]{1,512}\$|\\\([^\n]{1,512}?\\\)|\\\[[\s\S]{1,512}?\\\]"
    r"|\\.|[^.?\n]|[.?](?![\s*_$\"')\]]|\Z)){1,640}"
)
_TRAILING_CLAUSE = re.compile(r"[,;]?\s(?:because|since|which|so that|where)\s.*", re.IGNORECASE | re.DOTALL)
_COMMENT = re.compile(
    r"(?:not )?(?:correct|incorrect|wrong|clear|reasonable|consistent|known)\b|right$|not (?:right|yet|sure)\b|that\b",
    re.IGNORECASE,
)
_MARKUP = " \t\r\n*_`\"'$"

_INTEGER = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)"
_DECIMAL = rf"(?:{_INTEGER}(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+(?![A-Za-z0-9]))?"
_NUMBER = re.compile(
    r"(?:(?<![A-Za-z0-9_)\]}])(?P<sign>[-−]))?(?:"
    r"\\[dt]?frac\{(?P<over>[0-9]{1,256})\}\{(?P<under>[0-9]{1,256})\}"
    rf"|(?:\\?[$€£¥])?(?<![A-Za-z0-9_^])(?P<digits>{_DECIMAL}(?:/[0-9]+)?))"
)

_LETTER = r"(?P<letter>[B-HJ](?![\w'’])|[AI](?![\w'’]|\s{1,4}(?!(?:because|since|as|is|and|with)\b)[a-z]))"
_CHOSEN = re.compile(
    r"(?i:\b(?:answer|conclusion)\b[\s*_]{0,8}(?:(?:is|should\sbe|would\sbe)\b|[:=])?[\s*_:]{0,16}(?:(?:option|choice)\s)?)"
    rf"[$\\(\[{{*]{{0,4}}(?:text(?:bf)?\{{\(?)?{_LETTER}"
)
_BOXED_LETTER = re.compile(r"\s*(?:\\[a-z]+\{)?\s*\(?(?P<letter>[A-J])(?:[).:}\s].*)?", re.DOTALL)
_MENTIONED = re.compile(r"\((?P<letter>[A-J])\)|\b[Oo]ption\s\(?(?P<option>[A-J])\b")
_LETTERED_LINE = re.compile(
    r"^[ \t*_>]{0,8}\(?(?P<letter>[A-J])(?:[.):]?[ \t*_]{0,8}$|(?<!I)[.):]\**[ \t])", re.MULTILINE
)

_FENCE = re.compile(r"[ \t]*(?P<fence>`{3,}|~{3,})(?P<info>[^`]*)$")
_BLANK_LINES = re.compile(r"\A(?:[ \t]*\n)+")


def _within(limit: int, answer: str | None) -> str | None:
    return answer if answer and len(answer) <= limit else None


def _boxed(text: str) -> str | None:
    r"""Take the last `\boxed{}` or `\fbox{}` whose braces close; `\boxed{1}, \boxed{2}` is the list of both."""
    return _within(MAX_ANSWER_LENGTH, _last_boxes(text))


def _last_boxes(text: str) -> str:
    listed: list[_Box] = []
    for box in reversed(_boxes(text)[-_MAX_LISTED:]):
        gap = text[box.end + 1 : listed[-1].start] if listed else ","
        if len(gap) > _MAX_GAP or not _LISTING.fullmatch(gap):
            break
        listed.append(box)
    return ", ".join(text[box.begin : box.end].strip() for box in reversed(listed))


class _Box(NamedTuple):
    begin: int  # of what is within the braces
    end: int
    start: int  # of the command


def _boxes(text: str) -> list[_Box]:
    first = min((at for at in (text.find(r"\boxed"), text.find(r"\fbox")) if at >= 0), default=len(text))
    opened: list[re.Match[str]] = []
    closed: list[_Box] = []
    for mark in _BRACE.finditer(text, first):
        if mark[0] == "}":
            opening = opened.pop() if opened else mark
            if opening["box"] and text[opening.end() : mark.start()].strip():
                closed.append(_Box(opening.end(), mark.start(), opening.start()))
        elif mark[0] == "{" or mark["box"]:
            opened.append(mark)
    return sorted(closed)


def _hashes(text: str) -> str | None:
    """Take what follows the last `####` at the start of a line, as in GSM8K."""
    return _within(MAX_ANSWER_LENGTH, _last(_HASHES.finditer(text), 1).strip())


def _counted(text: str) -> str | None:
    """Take a number after `####`; what else follows it is a heading."""
    answer = _hashes(text)
    return answer if answer and _COUNTED.fullmatch(answer) else None


def _last(matches: Iterable[re.Match[str]], *groups: str | int) -> str:
    last: re.Match[str] | None = None
    for match in matches:
        last = match
    return next((last[group] for group in groups if last[group]), "") if last else ""


def _phrase(text: str) -> str | None:
    """Take what the last `the answer is ...` or `Answer: ...` says, to the end of its sentence."""
    for statement in reversed([match.end() for match in _STATEMENT.finditer(text)][-_MAX_STATEMENTS:]):
        sentence = _SENTENCE.match(text, statement)
        answer = _stated(sentence[0]) if sentence else ""
        if answer and not _COMMENT.match(answer):
            return _within(MAX_ANSWER_LENGTH, answer)
    return None


def _stated(sentence: str) -> str:
    if r"\boxed" in sentence:
        return _last_boxes(sentence)
    answer = _TRAILING_CLAUSE.sub("", sentence).strip(_MARKUP).rstrip(_MARKUP + ".,;:")
    for opening, closing in ((r"\(", r"\)"), (r"\[", r"\]")):
        if answer.startswith(opening) and answer.endswith(closing):
            answer = answer[2:-2]
    return " ".join(answer.split())


def _number(text: str) -> str | None:
    """Take the last number, without thousands separators, currency and percent signs."""
    last: re.Match[str] | None = None
    for match in _NUMBER.finditer(text):
        last = match
    if last is None:
        return None
    digits = last["digits"].replace(",", "") if last["digits"] else f"{last['over']}/{last['under']}"
    return _within(MAX_ANSWER_LENGTH, f"{'-' if last['sign'] else ''}{digits}")


def _choice(text: str) -> str | None:
    """Take the letter, A to J, of the option that is boxed, else last called the answer, else last mentioned."""
    boxed = _BOXED_LETTER.fullmatch(_last_boxes(text))
    final = _LETTERED_LINE.fullmatch(_last_line(text) or "")
    return (
        (boxed["letter"] if boxed else "")
        or (final["letter"] if final else "")
        or _last(_CHOSEN.finditer(text), "letter")
        or _last(_MENTIONED.finditer(text), "letter", "option")
        or _last(_LETTERED_LINE.finditer(text), "letter")
        or None
    )


def _code(text: str) -> str | None:
    """Take the last closed fenced block, without blank lines around it; its first line keeps its indentation."""
    last, fence, block = "", "", list[str]()
    for line in text.replace("\r\n", "\n").split("\n"):
        mark = _FENCE.match(line)
        if not fence:
            fence, block = (mark["fence"] if mark else ""), []
        elif mark and mark["fence"].startswith(fence) and not mark["info"].strip():
            last, fence = "\n".join(block) if any(map(str.strip, block)) else last, ""
        else:
            block.append(line)
    return _within(MAX_CODE_LENGTH, _BLANK_LINES.sub("", last).rstrip())


def _last_line(text: str) -> str | None:
    return _within(MAX_ANSWER_LENGTH, text.rstrip().rpartition("\n")[2].strip())


def _said_first(*rules: Extractor) -> Extractor:
    """Ask each rule for what was said, then for what was thought, before the next rule."""

    def extract(text: str) -> str | None:
        ends = [mark.span() for mark in _END_OF_THOUGHT.finditer(text)]
        parts = (text[ends[-1][1] :], text[: ends[-1][0]]) if ends else (text,)
        answers = (rule(part) for rule in rules for part in parts)
        return next((answer for answer in answers if answer is not None), None)

    return extract


def _explicit(text: str) -> str | None:
    return _boxed(text) or _counted(text) or _phrase(text)


EXTRACTORS: Mapping[str, Extractor] = MappingProxyType(
    {
        "auto": _said_first(_explicit, _number),
        "boxed": _said_first(_boxed),
        "hashes": _said_first(_hashes),
        "phrase": _said_first(_phrase),
        "number": _said_first(_number),
        "choice": _said_first(_choice),
        "code": _said_first(_code),
        "last-line": _said_first(_last_line),
        "python": _said_first(extract_python),
        "output": _said_first(extract_output),
        "input": _said_first(extract_input),
    }
)
"""By name. `auto` takes a box, else `####` and a number, else a phrase, else the last number. `output` and `input` read
what CRUXEval asks for."""
