"""The programs of a gateway from what its settings and its requests say: concrete classes are named here.

Requests come from anywhere: they choose among what is known by name, and no file is read for them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from importlib.metadata import entry_points

import msgspec

from dynasor.allocation.allocator import Allocator, InFlight, InRounds
from dynasor.allocation.overload import Overload
from dynasor.allocation.progress import Policy
from dynasor.allocation.token_limit import TokenLimit
from dynasor.answers.calls import json_answer
from dynasor.answers.extract import EXTRACTORS, Extractor
from dynasor.answers.grouping import ByNormalForm, ByText
from dynasor.datasets.problem import Problem
from dynasor.errors import UnknownName, UsageError
from dynasor.gateway.reasoning_question import Question, Shape
from dynasor.gateway.reasoning_settings import ReasoningSettings
from dynasor.gateway.reasoning_wish import Wish
from dynasor.programs.best_of_n import SCORERS
from dynasor.programs.probed import Probed
from dynasor.programs.program import Program, Setup
from dynasor.programs.prompt import PromptTemplate
from dynasor.request import Prompt
from dynasor.runtime.contained import ContainedSession
from dynasor.wiring import (
    ALGORITHMS,
    check_cap,
    check_decided,
    check_promise,
    default_policy,
    make_algorithm,
    make_policy,
)

_BOUNDED = ("chains", "expand", "parallel")  # settings by which one turn of the knob becomes many requests
_GREATEST = 10**6  # of any setting
_READ_LOGPROBS = frozenset({"logprob", "tail", "lowest"})
_THOUGHT_END = "</think>"


def algorithm_names() -> frozenset[str]:
    """What a request may ask for."""
    return frozenset(ALGORITHMS) | {point.name for point in entry_points(group="dynasor.programs")}


@dataclass(frozen=True, slots=True)
class AsAsked(PromptTemplate):
    """The prompt that a client gives, whatever the question is."""

    given: Prompt = ()

    def fill(self, question: str) -> Prompt:
        """The client's own."""
        del question
        return self.given


class SessionMaker:
    """Makes sessions; implements `gateway.reasoning.Sessions`."""

    def __init__(self, settings: ReasoningSettings) -> None:
        """Check what the settings name.

        Raises:
            UsageError: for an algorithm, a policy or a cap that cannot be.
        """
        self._settings = settings
        algorithm = make_algorithm(settings.algorithm)
        self._policy(algorithm, self._wish_of_settings(), settings.cap)

    def __call__(
        self, id: str, wish: Wish, question: Question, most: int | None, due: tuple[Overload, float] | None
    ) -> ContainedSession:
        """The session of a request; see `Sessions`."""
        algorithm = self._algorithm(wish)
        scorer = self._scorer(algorithm, wish)
        sampling = question.sampling
        if scorer is not None and scorer in _READ_LOGPROBS:
            sampling = msgspec.structs.replace(sampling, logprobs=True)
        cap = wish.cap or self._cap(algorithm, question, most)
        policy = self._policy(algorithm, wish, cap)
        setup = Setup(
            cap=cap,
            prompt=AsAsked(given=question.prompt),
            sampling=sampling,
            extract=_EXTRACTORS[question.shape],
            grouping=ByNormalForm if question.shape is Shape.TEXT else ByText,
            scorer=None if scorer is None else SCORERS[scorer],
            scored=scorer == "reward",
            seed=question.seed or 0,
            seeded_requests=question.seed is not None,
            stream="" if question.seed is None else "seeded",
            extra_body=dict(question.extra_body) or None,
        )
        program = algorithm(Problem(id, ""), setup)
        return ContainedSession(program, self._allocator(program, policy, wish, due))

    def _wish_of_settings(self) -> Wish:
        return Wish(model=None, algorithm=self._settings.algorithm)

    def _algorithm(self, wish: Wish) -> type[Program]:
        told = ",".join(f"{name}={value}" for name, value in wish.told.items())
        algorithm = make_algorithm(f"{wish.algorithm}:{told}" if told else wish.algorithm)
        if wish.probing is not None:
            algorithm = algorithm.with_settings(wish.probing)
        elif wish.settings:
            algorithm = _changed(algorithm, wish)
        _check_settings(algorithm, self._settings.max_cap)
        return algorithm

    def _cap(self, algorithm: type[Program], question: Question, most: int | None) -> int:
        """Where a request says none: of chains, as many rounds as their tokens take."""
        if issubclass(algorithm, Probed):
            return -(-question.sampling.max_tokens // algorithm.settings.interval)
        return self._settings.cap if most is None else min(self._settings.cap, most)

    def _scorer(self, algorithm: type[Program], wish: Wish) -> str | None:
        if not algorithm.reads_scores:
            if wish.scorer is not None:
                raise UsageError(f"{wish.algorithm} reads no scores; leave out scorer")
            return None
        scorer = wish.scorer or ("reward" if self._settings.reward else "logprob")
        if scorer not in SCORERS:
            raise UnknownName("scorer", scorer, SCORERS)
        if scorer == "reward" and not self._settings.reward:
            raise UsageError("scorer reward needs a reward model, and this gateway has none; use logprob")
        return scorer

    def _policy(self, algorithm: type[Program], wish: Wish, cap: int) -> Policy:
        own = self._settings.policy if wish.algorithm == self._settings.algorithm else ""
        if own and not wish.policy:
            check_promise(own, in_flight=wish.in_flight)
        policy, canonical = make_policy(wish.policy or own or default_policy(algorithm, cap))
        check_cap(policy, canonical, cap)
        check_decided(policy, algorithm, wish.algorithm)
        return policy

    def _allocator(self, program: Program, policy: Policy, wish: Wish, due: tuple[Overload, float] | None) -> Allocator:
        if wish.token_budget is not None:
            policy = TokenLimit(policy, wish.token_budget, _turn_tokens(program))
        allocator: Allocator = InFlight(policy) if wish.in_flight else InRounds(policy)
        if due is None:
            return allocator
        overload, within_s = due
        return overload.due(program.id, within_s, allocator)


def _changed(algorithm: type[Program], wish: Wish) -> type[Program]:
    """An algorithm with the settings that a request gives as values."""
    if algorithm.settings is None:
        raise UsageError(f"algorithm {wish.algorithm} has no settings; leave out settings")
    kinds = {setting.name: setting.type for setting in fields(algorithm.settings)}
    for name, value in wish.settings.items():
        if name not in kinds:
            raise UnknownName(f"setting of {wish.algorithm}", name, kinds)
        kind = str(getattr(kinds[name], "__name__", kinds[name]))
        if type(value).__name__ not in ((kind, "int") if kind == "float" else (kind,)):
            raise UsageError(f"setting {name} is {value!r}; it must be {_WORDS.get(kind, kind)}")
    return algorithm.with_settings(replace(algorithm.settings, **wish.settings))


def _check_settings(algorithm: type[Program], most: int) -> None:
    """Refuse numbers by which one request would take too much, or with which nothing can be reckoned."""
    if algorithm.settings is None:
        return
    for setting in fields(algorithm.settings):
        value = getattr(algorithm.settings, setting.name)
        if setting.name in _BOUNDED and value > most:
            raise UsageError(f"{setting.name} is {value}; {most} is the most")
        if isinstance(value, int | float) and not abs(value) <= _GREATEST:
            raise UsageError(f"{setting.name} is {value}; it must be a number between -{_GREATEST} and {_GREATEST}")


def _turn_tokens(program: Program) -> int:
    """The most that one turn of the knob may take."""
    most = program.setup.sampling.max_tokens
    if isinstance(program, Probed):
        settings = program.settings
        return settings.chains * (settings.interval + settings.tokens)
    return most


def _said(text: str) -> str:
    return text.rpartition(_THOUGHT_END)[2].strip()


def _called_or_said(text: str) -> str | None:
    """Of a branch that calls no tool: what it states, else all that it says."""
    return EXTRACTORS["auto"](text) or _said(text) or None


_WORDS = {"int": "a whole number", "float": "a number", "str": "text"}
_EXTRACTORS: Mapping[Shape, Extractor] = {
    Shape.TEXT: EXTRACTORS["auto"],
    Shape.JSON: lambda text: json_answer(_said(text)),
    Shape.CALLS: _called_or_said,
}
