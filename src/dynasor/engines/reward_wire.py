"""The pooling endpoints of vLLM as values: texts become JSON bodies, bytes become rewards. It knows no sockets.

Which prompts work where:

- `classify` and `pooling` take plain text, many at a time, and conversations, one at a time, which the server puts
  through the reward model's own chat template;
- `score` takes conversations only: it wants the question and the solution apart;
- a `step_tag` needs a conversation too, for only there it is known where the solution begins.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, nan, prod
from operator import itemgetter
from statistics import fmean
from typing import Final, Literal

import msgspec

from dynasor.errors import EngineError, UnknownName
from dynasor.request import Message, Prompt

RewardApi = Literal["classify", "pooling", "score"]
Reduction = Literal["last", "minimum", "mean", "product"]

# vLLM has these two beside /v1, not below it.
_PATHS: Final[Mapping[str, str]] = {"classify": "/../classify", "pooling": "/../pooling", "score": "/score"}
_REDUCED: Final[Mapping[str, Callable[[Sequence[float]], float]]] = {
    "last": itemgetter(-1),
    "minimum": min,
    "mean": fmean,
    "product": prod,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardForm:
    """How a reward model behind HTTP is asked, and how its answer is read.

    Where a model gives a figure for each of several labels, the last label's counts: it is the one that means "right".

    Attributes:
        api: the endpoint.
        squash: whether to ask for raw figures and put them through the logistic function, for a model whose figures
            are no probabilities.
        reduce: the reward where a model gives a figure for each step (or token) of a text.
        step_tag: what the model expects at the end of every step, such as `<extra_0>`; a step is a line that is not
            blank, and the tag takes the place of what ends it. Empty: the text as it is.
    """

    api: RewardApi = "classify"
    squash: bool = False
    reduce: Reduction = "last"
    step_tag: str = ""

    def __post_init__(self) -> None:
        if self.api not in _PATHS:
            raise UnknownName("api of a reward model", self.api, _PATHS)
        if self.reduce not in _REDUCED:
            raise UnknownName("reduction of step rewards", self.reduce, _REDUCED)

    @property
    def path(self) -> str:
        """Below an address that ends in /v1."""
        return _PATHS[self.api]


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request: its body, and the places of its texts among all that are to be scored."""

    body: bytes
    places: Sequence[int]


def calls(texts: Sequence[Prompt], form: RewardForm, model: str | None) -> list[Call]:
    """Put texts into as few requests as the endpoint allows.

    Raises:
        EngineError: it cannot take a text.
    """
    fields: dict[str, object] = {} if model is None else {"model": model}
    if form.squash:
        fields["use_activation"] = False
    tagged = [_tagged(text, form.step_tag) for text in texts]
    if form.api == "score":
        return [_call(fields | _pairs(tagged), range(len(texts)))]
    plain = [place for place, text in enumerate(tagged) if isinstance(text, str)]
    asked = [_call(fields | {"input": [tagged[place] for place in plain]}, plain)] if plain else []
    turns = {place: text for place, text in enumerate(tagged) if not isinstance(text, str)}
    return asked + [_call(fields | _conversation(text), (place,)) for place, text in turns.items()]


def _call(fields: Mapping[str, object], places: Sequence[int]) -> Call:
    return Call(msgspec.json.encode(fields), places)


def _conversation(turns: Sequence[Message]) -> dict[str, object]:
    """The text ends where the solution does: a step is not the end of a turn."""
    begun = turns[-1].role == "assistant"
    return {"messages": turns, "continue_final_message": begun, "add_generation_prompt": not begun}


def _pairs(texts: Sequence[Prompt]) -> dict[str, object]:
    pairs = [_apart(text, "the score api") for text in texts]
    questions = ["\n\n".join(turn.content for turn in before) for before, _ in pairs]
    return {"text_1": questions, "text_2": [solution for _, solution in pairs]}


def _tagged(text: Prompt, tag: str) -> Prompt:
    if not tag:
        return text
    before, solution = _apart(text, "a step tag")
    steps = [line + tag for line in solution.splitlines() if line.strip()]
    return (*before, Message("assistant", "".join(steps)))


def _apart(text: Prompt, wanted_by: str) -> tuple[tuple[Message, ...], str]:
    """What was asked, and the solution so far."""
    if isinstance(text, str):
        told = f"{wanted_by} needs conversations, to tell a solution from its question; these prompts are plain text"
        raise EngineError(told, retryable=False)
    *before, last = text
    return (tuple(before), last.content) if last.role == "assistant" else (text, "")


class _Entry(msgspec.Struct):
    index: int
    probs: list[float | None] | None = None  # classify
    data: list[float | list[float | None] | None] | None = None  # pooling: a row for each step, or one figure a label
    score: float | None = None


class _Rewards(msgspec.Struct):
    data: list[_Entry]


_decode: Final = msgspec.json.Decoder(_Rewards).decode


def rewards(payload: bytes, form: RewardForm) -> list[float]:
    """Read an answer; what the server could not express, as JSON knows no NaN, is NaN.

    Raises:
        EngineError: it holds no figure for a text.
        msgspec.DecodeError: these are not the bytes of an answer.
    """
    entries = sorted(_decode(payload).data, key=lambda entry: entry.index)
    return [_reward(entry, form) for entry in entries]


def _reward(entry: _Entry, form: RewardForm) -> float:
    if form.api == "score":
        return _figure(entry.score, form)
    figures = entry.probs if form.api == "classify" else entry.data
    if not figures or [] in figures:
        hint = "; name what ends a step by step_tag=..." if entry.data == [] else ""
        raise EngineError(f"the reward model gave no figure for a text{hint}", retryable=False)
    last = figures[-1]
    if not isinstance(last, list):
        return _figure(last, form)
    return _REDUCED[form.reduce]([_figure(row[-1], form) for row in figures if isinstance(row, list)])


def _figure(raw: float | None, form: RewardForm) -> float:
    if raw is None:
        return nan
    return logistic(raw) if form.squash else raw


def logistic(raw: float) -> float:
    """The logistic function, without overflow."""
    return 1 / (1 + exp(-raw)) if raw >= 0 else exp(raw) / (1 + exp(raw))
