"""Programs and policies made again from what a run's journal says of them. It reads no journal and plays nothing."""

import ast
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from dynasor.allocation.progress import Policy
from dynasor.answers.extract import EXTRACTORS
from dynasor.answers.grouping import Grouping
from dynasor.certaindex.signal import SIGNALS
from dynasor.datasets.problem import Problem
from dynasor.errors import UnknownName, UsageError
from dynasor.journal.records import Setting
from dynasor.launch.fingerprint import algorithm_name
from dynasor.programs.best_of_n import SCORERS
from dynasor.programs.program import Program, Setup
from dynasor.programs.prompt import PromptTemplate
from dynasor.request import Sampling
from dynasor.wiring import ALGORITHMS, algorithm_setting, make_algorithm, make_policy

_DIGESTED = re.compile(r"(.+) \([0-9a-f]{12}\)")
_HANDED_OVER = re.compile(r"(dynasor\.programs\.[\w.]+) \([0-9a-f]{12}\) \w+\((.*)\)", re.DOTALL)


class RunSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Those settings of a run that decide how its programs go on; as `launch.settings` writes them."""

    algorithm: str
    policy: str
    cap: int
    in_flight: bool = False
    shadow: float | None = None
    token_budget: int | None = None
    signal: str = "entropy"
    grouping: str = "auto"
    scorer: str = "reward"
    extract: str = "auto"
    seed: int = 0
    trace: str | None = None
    embedding: str = "builtin"
    similarity: float = 0.85
    temperature: float = 0.7
    top_p: float = 1.0
    max_tokens: int = 1024
    logprobs: bool = False


def run_settings(settings: Mapping[str, Setting]) -> RunSettings:
    """Read a run's settings.

    Raises:
        UsageError: where one that is needed is missing, or none that can be.
    """
    try:
        return msgspec.convert(dict(settings), RunSettings)
    except msgspec.ValidationError as fault:
        raise UsageError(f"the journal's settings do not say how the run was made ({fault})") from fault


def remade_program(settings: RunSettings, problem: Problem, grouping: Callable[[], Grouping]) -> Program:
    """The program that answered a problem, as it was at its start; its prompt is the bare question.

    Raises:
        UsageError: where it is not to be had, or is no longer what it was.
    """
    sampling = Sampling(
        temperature=settings.temperature,
        top_p=settings.top_p,
        max_tokens=settings.max_tokens,
        logprobs=settings.logprobs,
    )
    setup = Setup(
        cap=settings.cap,
        prompt=PromptTemplate("{question}"),
        sampling=sampling,
        extract=_known("extractor", settings.extract, EXTRACTORS),
        grouping=grouping,
        signal=_known("signal", settings.signal, SIGNALS),
        scorer=_known("scorer", settings.scorer, SCORERS),
        seed=settings.seed,
    )
    return remade_algorithm(settings.algorithm)(problem, setup)


def remade_policy(text: str) -> Policy:
    """The policy of a canonical specification.

    Raises:
        UsageError: where it is none: it was handed over in Python, and a journal holds no code.
    """
    try:
        return make_policy(text)[0]
    except UsageError as fault:
        raise UsageError(f"policy {text} was handed over in Python, or comes with a plug-in that is missing") from fault


def remade_algorithm(text: str) -> type[Program]:
    """The program class that a journal names.

    Raises:
        UsageError: where it is not to be had, or is no longer what it was.
    """
    name, _, options = text.partition(":")
    if name in ALGORITHMS:
        return _with_settings(text, ALGORITHMS[name], _literals(options))
    if handed_over := _HANDED_OVER.fullmatch(text):
        return _ours_handed_over(text, handed_over[1], handed_over[2])
    digested = _DIGESTED.fullmatch(text)
    if digested is None:
        return make_algorithm(text)
    source = digested[1]
    file = Path(source.rpartition(":")[0])
    if file.suffix != ".py":
        raise UsageError(f"program {source} was handed over in Python, and a journal holds no code")
    if not file.is_file():
        raise UsageError(f"no such file: {file}; go to where the run was started")
    if algorithm_setting(source) != text:
        raise UsageError(f"{file} has changed since the run")
    return make_algorithm(source)


def _ours_handed_over(text: str, place: str, options: str) -> type[Program]:
    """One of the known algorithms, handed over in Python with settings of its own."""
    known = {f"{kind.__module__}.{kind.__qualname__}": kind for kind in ALGORITHMS.values()}
    literals = _literals(options)
    if place not in known or literals is None:
        raise UsageError(f"program {place} was handed over in Python, and a journal holds no code")
    made = _with_settings(text, known[place], literals)
    if algorithm_name(made) != text:
        raise UsageError(f"{place} has changed since the run")
    return made


def briefly(text: str) -> str:
    """An algorithm as a journal names it, without the settings that are as usual."""
    name, _, options = text.partition(":")
    usual = ALGORITHMS[name].settings if name in ALGORITHMS else None
    literals = _literals(options)
    if usual is None or literals is None:
        return text
    own = ",".join(f"{key}={value!r}" for key, value in literals.items() if getattr(usual, key, None) != value)
    return f"{name}:{own}" if own else name


def _with_settings(text: str, algorithm: type[Program], options: Mapping[str, Any] | None) -> type[Program]:
    if options is None:
        return make_algorithm(text)
    if not options:
        return algorithm
    try:
        return algorithm.with_settings(type(algorithm.settings)(**options))
    except TypeError as fault:
        raise UsageError(f"algorithm {text} has other settings in this version: {fault}") from fault


def _literals(options: str) -> dict[str, Any] | None:
    """The options of a canonical specification, whose texts stand in quotes; None where they do not."""
    try:
        call = ast.parse(f"dict({options})", mode="eval").body
        assert isinstance(call, ast.Call)  # noqa: S101  (for the type checker)
        return {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
    except (SyntaxError, ValueError):
        return None


def _known(kind: str, name: str, known: Mapping[str, Any]) -> Any:
    if name not in known:
        raise UnknownName(kind, name, known)
    return known[name]
