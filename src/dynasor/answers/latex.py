r"""One spelling for each LaTeX (or plain) formula: `\dfrac12` and `\frac{1}{2}`, `x^{2}` and `x^2`, `\left( a \right)`.

It rewrites symbols and knows nothing of what they mean: numbers, units and tuples are `equivalence`'s business. What
TeX leaves open is read as people write it: `x^10` is `x^{10}`, `2^(n+1)` is `2^{n+1}`, `10^-5` is `10^{-5}`.
"""

import re
from collections.abc import Iterator

MAX_DEPTH = 32


class TooDeep(ValueError):
    """A formula nested beyond what anybody writes; such a text is no formula."""


_FORMULA = r"\\[A-Za-z]+|\\.|[0-9]+(?:\.[0-9]+)*|\.[0-9]+|[^\W\d_]+|\s+|<=|>=|!=|\*\*|."
_THOUSANDS = r"(?<![0-9.,])[1-9][0-9]{0,2}(?:,[0-9]{3})+(?![0-9]|,[0-9])(?:\.[0-9]+)?"
_SYMBOL = re.compile(_FORMULA, re.DOTALL)
_SYMBOL_OR_THOUSANDS = re.compile(f"{_THOUSANDS}|{_FORMULA}", re.DOTALL)
_TYPESET_THOUSANDS = re.compile(r"(?<=[0-9])(?:\{,\}|,\s*\\!|\\,)\s*(?=[0-9]{3}(?![0-9]))")
_ENDS_IN_COMMAND = re.compile(r"\\[A-Za-z]+$")
_OPENING: dict[str | None, str] = {")": "(", "]": "["}
_COMMAND = re.compile(r"\\[A-Za-z]+")

_UNICODE = str.maketrans(
    {
        "−": "-", "–": "-", "×": "*", "·": "*", "⋅": "*", "÷": "/", "π": r"\pi ", "θ": r"\theta ", "∞": r"\infty ",
        "√": r"\sqrt ", "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "±": r"\pm ", "∪": r"\cup ", "∩": r"\cap ",
        "∈": r"\in ", "∅": r"\emptyset ", "°": r"^\circ ", "²": "^{2}", "³": "^{3}", "½": r"\frac{1}{2}",
        "¼": r"\frac{1}{4}", "¾": r"\frac{3}{4}",
    }
)  # fmt: skip
_ALIASES = {
    r"\dfrac": r"\frac", r"\tfrac": r"\frac", r"\cfrac": r"\frac", r"\dbinom": r"\binom", r"\tbinom": r"\binom",
    r"\leq": r"\le", r"\geq": r"\ge", r"\neq": r"\ne", "<=": r"\le", ">=": r"\ge", "!=": r"\ne", r"\lt": "<",
    r"\gt": ">", r"\times": "*", r"\cdot": "*", r"\div": "/", "**": "^", r"\lbrace": r"\{", r"\rbrace": r"\}",
    r"\lbrack": "[", r"\rbrack": "]", r"\varnothing": r"\emptyset", r"\%": "%", r"\#": "#", r"\_": "_",
    r"\dots": r"\ldots", r"\cdots": r"\ldots", r"\colon": ":", "pi": r"\pi", "Pi": r"\pi", "infinity": r"\infty",
    "sqrt": r"\sqrt", r"\degree": r"^\circ", r"\degrees": r"^\circ",
}  # fmt: skip
_BLANK = {r"\,", r"\;", r"\:", r"\>", r"\ ", "\\\n", r"\quad", r"\qquad", "~"}
_DROPPED = {
    r"\left", r"\right", r"\big", r"\Big", r"\bigg", r"\Bigg", r"\bigl", r"\bigr", r"\Bigl", r"\Bigr",
    r"\displaystyle", r"\textstyle", r"\limits", r"\!", "$", r"\$", r"\(", r"\)", r"\[", r"\]",
    "€", "£", "¥", "₹", "¢", r"\pounds", r"\euro",
}  # fmt: skip
_DROPPED_WITH_ARGUMENT = {r"\hspace", r"\vspace", r"\phantom", r"\color", r"\tag", r"\label"}
_TEXT = {
    r"\text", r"\textrm", r"\textbf", r"\textit", r"\textsf", r"\texttt", r"\textnormal", r"\mbox", r"\hbox",
    r"\mathrm", r"\operatorname",
}  # fmt: skip
_STYLE = {r"\mathbf", r"\mathit", r"\mathsf", r"\boldsymbol", r"\bm", r"\emph", r"\boxed", r"\fbox", r"\ensuremath"}
_MATRICES = {"bmatrix": "pmatrix", "matrix": "pmatrix"}


def tidy(text: str) -> str:
    r"""Spell a formula in the one way.

    Blanks go, except those that part two words or two numbers, or follow a comma (so that `1, 234` is not taken for
    `1,234`, in which the comma is dropped as one between thousands unless it stands in brackets). `\text{...}` and its
    kin stay as `\text{...}`. It takes time linear in the text and raises only `TooDeep`.
    """
    return _Reader(text).sequence(stop=None, depth=0)


def _symbols(text: str) -> Iterator[str]:
    at, depth = 0, 0
    while at < len(text):
        match = (_SYMBOL if depth else _SYMBOL_OR_THOUSANDS).match(text, at)
        symbol = match[0] if match else text[at]
        at += len(symbol)
        depth = max(0, depth + (symbol in ("(", "[", r"\{")) - (symbol in (")", "]", r"\}")))
        yield " " if symbol.isspace() else _spelled(symbol)


def _spelled(symbol: str) -> str:
    if symbol[0] in ".0123456789" and symbol != ".":
        return _spelled_number(symbol.replace(",", ""))
    return " " if symbol in _BLANK else _ALIASES.get(symbol, symbol)


def _spelled_number(digits: str) -> str:
    if digits.count(".") != 1:
        return digits
    whole, decimals = digits.split(".")
    decimals = decimals.rstrip("0")
    return f"{whole or '0'}.{decimals}" if decimals else whole or "0"


class _Reader:
    """Reads symbols and writes the one spelling; every method takes symbols from the front of what is left."""

    def __init__(self, text: str) -> None:
        self._left = list(_symbols(_TYPESET_THOUSANDS.sub("", text.translate(_UNICODE))))
        self._left.reverse()  # the next symbol is popped from the end

    def sequence(self, *, stop: str | None, depth: int) -> str:
        """Write everything up to the symbol `stop` (which is taken too) or the end."""
        if depth > MAX_DEPTH:
            raise TooDeep
        line, inside = _Line(), 0
        while self._left:
            symbol = self._left.pop()
            if symbol == stop and not inside:
                break
            inside += (symbol == _OPENING.get(stop)) - (symbol == stop)
            self._continue(line, symbol, depth)
        return "".join(line.written)

    def _continue(self, line: "_Line", symbol: str, depth: int) -> None:
        if symbol == " ":
            line.blank = True
        elif symbol == "{" and line.after_command:
            line.write(f"{{{self.sequence(stop='}', depth=depth + 1)}}}", after_command=True)
        elif symbol != "}":
            piece = self._element(symbol, depth)
            takes_arguments = symbol == r"\begin" or (piece == symbol and _COMMAND.fullmatch(symbol) is not None)
            line.write(piece, after_command=takes_arguments)

    def _element(self, symbol: str, depth: int) -> str:
        """Write what begins with the given symbol: a formula with its arguments, or the symbol itself."""
        if depth > MAX_DEPTH:
            raise TooDeep
        if symbol == "{":
            return self.sequence(stop="}", depth=depth + 1)
        if symbol in "^_":
            return self._script(symbol, depth)
        if symbol in (r"\frac", r"\sqrt", r"\begin", r"\end"):
            return self._structure(symbol, depth)
        return self._styled(symbol, depth)

    def _styled(self, symbol: str, depth: int) -> str:
        if symbol in _DROPPED:
            return ""
        if symbol in _DROPPED_WITH_ARGUMENT:
            self._argument(depth)
            return ""
        if symbol in _STYLE:
            return self._argument(depth)
        if symbol in _TEXT:
            words = " ".join(self._raw_group().split())
            return f"\\text{{{words}}}" if words else ""
        return symbol

    def _structure(self, symbol: str, depth: int) -> str:
        if symbol == r"\frac":
            return f"\\frac{{{self._argument(depth)}}}{{{self._argument(depth)}}}"
        if symbol == r"\sqrt":
            root = f"[{self.sequence(stop=']', depth=depth + 1)}]" if self._take("[") else ""
            return f"\\sqrt{root}{{{self._plain_argument(depth)}}}"
        name = self._raw_group().strip()
        return f"{symbol}{{{_MATRICES.get(name, name)}}}"

    def _script(self, symbol: str, depth: int) -> str:
        script = self._number() or self._plain_argument(depth)
        bare = len(script) == 1 or _COMMAND.fullmatch(script)
        return f"{symbol}{script}" if bare else f"{symbol}{{{script}}}"

    def _number(self) -> str:
        """Take a number with its sign; all of its digits belong to the script, whatever TeX says."""
        self._skip_blanks()
        signed = len(self._left) > 1 and self._left[-1] in "+-" and self._left[-2][0].isdigit()
        sign = self._left.pop() if signed else ""
        return sign + self._left.pop() if self._left and self._left[-1][0].isdigit() else ""

    def _plain_argument(self, depth: int) -> str:
        return self.sequence(stop=")", depth=depth + 1) if self._take("(") else self._argument(depth)

    def _argument(self, depth: int) -> str:
        """Take a group, a command with its arguments, or one character, as TeX does."""
        self._skip_blanks()
        if not self._left:
            return ""
        symbol = self._left.pop()
        if len(symbol) > 1 and symbol.isalnum():
            self._left.append(symbol[1:])
            symbol = symbol[0]
        return self._element(symbol, depth + 1) if symbol != "}" else ""

    def _raw_group(self) -> str:
        if not self._take("{"):
            return ""
        words, depth = [], 1
        while self._left and depth:
            symbol = self._left.pop()
            depth += (symbol == "{") - (symbol == "}")
            if symbol not in ("{", "}") and symbol not in _DROPPED:
                words.append(symbol)
        return "".join(words)

    def _take(self, symbol: str) -> bool:
        self._skip_blanks()
        if self._left and self._left[-1] == symbol:
            self._left.pop()
            return True
        return False

    def _skip_blanks(self) -> None:
        while self._left and self._left[-1] == " ":
            self._left.pop()


class _Line:
    """What has been written of a sequence, with blanks only where they part something."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.blank = False
        self.after_command = False

    def write(self, piece: str, *, after_command: bool) -> None:
        if not piece:
            return
        if self.written and self._parted(self.written[-1], piece):
            self.written.append(" ")
        self.written.append(piece)
        self.blank, self.after_command = False, after_command

    def _parted(self, left: str, right: str) -> bool:
        if _ENDS_IN_COMMAND.search(left):
            return right[0].isalpha()
        if left[-1].isdigit() and right[0].isdigit():
            return True
        if not self.blank or left == ",":
            return self.blank
        numeric = left[-1].isdigit() or right[0].isdigit()
        word = right if left[-1].isdigit() else left
        product = numeric and len(word) == 1  # `2 k` is one, `2 kites` are not
        return left[-1].isalnum() and right[0].isalnum() and not product
