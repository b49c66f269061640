"""How a request asks for reasoning: by its model's name, a field of its body, or an effort.

{"model": "NAME@sc"}, {"model": "NAME@mcts:parallel=4,cap=16"}
{"dynasor": {"algorithm": "sc", "cap": 20, "policy": "decided", "deadline_s": 5, "token_budget": 4000, ...}}
{"reasoning_effort": "high"}, where the gateway's settings map it
{"dynasor": {"saving_effort": "mid"}}, {"adaptive_compute": {...}}: see `programs.probing_requests`

A name that a backend lists as it is means that model, whatever stands behind its `@`.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from dynasor.config import parse_specification
from dynasor.errors import UsageError
from dynasor.gateway.asked import Asked
from dynasor.gateway.reasoning_settings import ReasoningSettings
from dynasor.gateway.refusals import Refused
from dynasor.programs.probed import ProbedCot
from dynasor.programs.probing import Probing
from dynasor.programs.probing_requests import asked_probing

_FIELD = "dynasor"
_PROGRAM = "program_id"  # says whose request it is, and asks for nothing
_PROBING = frozenset({"saving_effort", "probe_interval", "certainty_window"})
_PROBES = "probed-cot"
_DIGITS = 10
_LONGEST_POLICY = 1000  # characters
_LARGEST_BUDGET = 10**12  # tokens: there is no such answer, and arithmetic holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """The reasoning that a request asks for.

    Attributes:
        model: the backend's name of it; None: the only one.
        algorithm: one of the known names.
        told: settings of it as text, as on the command line.
        settings: more of them, as values.
        probing: all of them, as clients of probing say them.
        cap, policy, scorer: None: the gateway's, or the algorithm's own.
        in_flight: start all branches at once and cut what turns out not to be needed.
        deadline_s: within which the answer is wanted; what would be late is granted less.
        refuse_late: whether no answer is wanted where not even one branch can end in time.
        token_budget: nothing more is begun that would pass it.
        alternatives: whether the other answers are wanted too.
        progress: how a stream tells of it.
    """

    model: str | None
    algorithm: str
    told: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, int | float | str] = field(default_factory=dict)
    probing: Probing | None = None
    cap: int | None = None
    policy: str | None = None
    scorer: str | None = None
    in_flight: bool = False
    deadline_s: float | None = None
    refuse_late: bool = False
    token_budget: int | None = None
    alternatives: bool = False
    progress: Literal["none", "comments", "events"] = "none"


class _Told(msgspec.Struct, forbid_unknown_fields=True):
    """The field `dynasor`."""

    program_id: Any = None
    algorithm: str | None = None
    cap: int | None = None
    policy: str | None = None
    scorer: str | None = None
    in_flight: bool = False
    deadline_s: float | None = None
    refuse_late: bool = False
    token_budget: int | None = None
    settings: dict[str, int | float | str] | None = None
    alternatives: bool = False
    progress: Literal["none", "comments", "events"] = "none"


class Wishes:
    """Reads what requests ask for."""

    def __init__(
        self,
        settings: ReasoningSettings,
        algorithms: Collection[str],
        models: Callable[[], Collection[str]] = frozenset,
    ) -> None:
        """What is known.

        Args:
            settings: of the gateway.
            algorithms: their names, without settings.
            models: tells the names of all that the backends list; none: nobody tells.
        """
        self._settings, self._algorithms, self._models = settings, frozenset(algorithms), models

    def is_one(self, asked: Asked) -> bool:
        """Whether a request asks for reasoning; it looks no closer than it must, for every request is looked at.

        Raises:
            Refused: 404: its model is NAME@ALGORITHM, and neither that name nor such an algorithm is known.
        """
        if asked.adaptive_compute is not None:
            return True
        told = asked.dynasor
        if told is not None and not (isinstance(told, dict) and told.keys() == {_PROGRAM}):
            return not (isinstance(told, dict) and told.get("saving_effort") == "none")
        if asked.model is not None and "@" in asked.model and self._is_suffixed(asked.model):
            return True
        return asked.reasoning_effort is not None and asked.reasoning_effort in self._settings.efforts

    def read(self, asked: Asked) -> Wish:
        """Read it.

        Raises:
            Refused: 400, with the field and the mend.
        """
        model, suffix = self._suffixed(asked.model or "") or (asked.model, "")
        try:
            if self._asks_probing(asked):
                return self._probing(asked, model, suffix)
        except UsageError as fault:
            raise _refused(str(fault), _FIELD if asked.adaptive_compute is None else "adaptive_compute") from None
        told = _told(asked.dynasor)
        name, settings = self._named(suffix, told)
        cap = self._cap(asked, told.cap, settings.pop("cap", None))
        _check(told)
        return Wish(
            model=model, algorithm=name, told=settings, settings=told.settings or {}, cap=cap, policy=told.policy,
            scorer=told.scorer, in_flight=told.in_flight, deadline_s=told.deadline_s, refuse_late=told.refuse_late,
            token_budget=told.token_budget, alternatives=told.alternatives, progress=told.progress,
        )  # fmt: skip

    def _suffixed(self, model: str) -> tuple[str, str] | None:
        """A model's name and the reasoning behind it; None where there is none."""
        name, at, suffix = model.rpartition("@")
        if not (at and name and suffix.partition(":")[0] in self._algorithms) or model in self._models():
            return None
        return name, suffix

    def _is_suffixed(self, model: str) -> bool:
        """Whether a name with an @ asks for reasoning."""
        if self._suffixed(model) is not None:
            return True
        listed = self._models()
        if not listed or model in listed:
            return False
        suffix, known = model.rpartition("@")[2], ", ".join(sorted(self._algorithms))
        told = f"there is no model '{model[:200]}' here, and no algorithm '{suffix.partition(':')[0][:80]}'"
        raise Refused(404, f"{told} (known: {known}); see /v1/models", "model_not_found", "model")

    def _asks_probing(self, asked: Asked) -> bool:
        told = asked.dynasor
        return asked.adaptive_compute is not None or (isinstance(told, dict) and not _PROBING.isdisjoint(told))

    def _probing(self, asked: Asked, model: str | None, suffix: str) -> Wish:
        told = asked.dynasor
        if isinstance(told, dict):
            told = {name: value for name, value in told.items() if name != _PROGRAM} or None
        body = {_FIELD: told, "adaptive_compute": asked.adaptive_compute}
        if suffix and suffix != _PROBES:
            raise UsageError(f"the model is asked for {suffix}, and the body for probing; leave one of them out")
        return Wish(model=model, algorithm=_PROBES, probing=asked_probing(body, ProbedCot.settings))

    def _named(self, suffix: str, told: _Told) -> tuple[str, dict[str, str]]:
        """The algorithm, with its settings as text."""
        spelled = suffix or told.algorithm or self._settings.algorithm
        try:
            specification = parse_specification(spelled)
        except UsageError as fault:
            raise _refused(str(fault), "model" if suffix else f"{_FIELD}.algorithm") from None
        name = specification.name
        if name not in self._algorithms:
            known = ", ".join(sorted(self._algorithms))
            raise _refused(f"unknown algorithm '{name[:80]}' (known: {known})", f"{_FIELD}.algorithm")
        if suffix and told.algorithm is not None and told.algorithm.partition(":")[0].strip() != name:
            raise _refused(f"the model is asked for {name}, and dynasor.algorithm is '{told.algorithm[:80]}'; leave one"
                           " of them out", f"{_FIELD}.algorithm")  # fmt: skip
        return name, dict(specification.options)

    def _cap(self, asked: Asked, told: int | None, suffixed: str | None) -> int | None:
        """The resource cap that a request asks for: in the body, by the model's name, or by its effort."""
        cap = told
        if cap is None and suffixed is not None:
            if not (suffixed.isdecimal() and len(suffixed) < _DIGITS):
                raise _refused(f"cap is '{suffixed[:40]}'; it must be a whole number", "model")
            cap = int(suffixed)
        if cap is None and asked.reasoning_effort is not None:
            cap = self._settings.efforts.get(asked.reasoning_effort)
        if cap is not None and not 1 <= cap <= self._settings.max_cap:
            raise _refused(f"cap is {cap}; it must be 1 to {self._settings.max_cap}", f"{_FIELD}.cap")
        return cap


def _told(given: object) -> _Told:
    try:
        return _Told() if given is None else msgspec.convert(given, _Told)
    except msgspec.ValidationError as fault:
        known = ", ".join(name for name in _Told.__struct_fields__)
        raise _refused(f"dynasor cannot be read: {fault}; it may have {known}", _FIELD) from None


def _check(told: _Told) -> None:
    if told.deadline_s is not None and not 0 < told.deadline_s < 1e6:
        raise _refused(f"deadline_s is {told.deadline_s}; it must be more than 0 seconds", f"{_FIELD}.deadline_s")
    if told.token_budget is not None and not 1 <= told.token_budget <= _LARGEST_BUDGET:
        shown = str(told.token_budget)[:40]
        raise _refused(f"token_budget is {shown}; it must be 1 to {_LARGEST_BUDGET}", f"{_FIELD}.token_budget")
    if told.policy is not None and len(told.policy) > _LONGEST_POLICY:
        raise _refused(f"policy has more than {_LONGEST_POLICY} characters; make it shorter", f"{_FIELD}.policy")
    if told.policy is not None and (
        not told.policy or any(mark in told.policy for mark in "/\\") or ".toml" in told.policy
    ):
        raise _refused("policy must be a rule such as decided or static:threshold=0.7,detect_at=5; files are the"
                       " gateway's own", f"{_FIELD}.policy")  # fmt: skip


def _refused(told: str, field: str) -> Refused:
    return Refused(400, told, "invalid_value", field)
