"""How existing clients ask for probing, in the body of a request: three spellings of the same wish.

    {"dynasor": {"saving_effort": "mid"}}
    {"dynasor": {"probe_interval": 32, "certainty_window": 2}}
    {"adaptive_compute": {"mode": "prompting", "probe_text": "...", "certainty_window": 2, "token_interval": 32}}

It reads values; it does not know who sent them.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dynasor.errors import UsageError
from dynasor.programs.probing import Probing

_NAMES: Mapping[str, Mapping[str, str]] = {
    "dynasor": {"saving_effort": "effort", "probe_interval": "interval", "certainty_window": "window"},
    "adaptive_compute": {"probe_text": "suffix", "certainty_window": "window", "token_interval": "interval"},
}
_PASSED_OVER = frozenset({"mode", "probe_text_end"})  # there is one mode, and a brace ends an answer by itself


def asked_probing(body: Mapping[str, Any], settings: Probing) -> Probing | None:
    """The settings that a request asks for, over those given; None where it asks for no probing.

    An effort of "none" is no probing.

    Raises:
        UsageError: for both spellings at once, a name that is not known, or a value that cannot be.
    """
    asked = [(field, body[field]) for field in _NAMES if body.get(field) is not None]
    if not asked:
        return None
    if len(asked) > 1:
        raise UsageError("both dynasor and adaptive_compute are given; they say the same: give one of them")
    field, values = asked[0]
    if not isinstance(values, Mapping):
        raise UsageError(f"{field} is {values!r}; it must be an object, such as {{'saving_effort': 'mid'}}")
    if values.get("saving_effort") == "none":
        return None
    return replace(settings, **{_known(field, name): _value(field, name, values[name]) for name in _told(values)})


def _told(values: Mapping[str, Any]) -> list[str]:
    return [name for name, value in values.items() if name not in _PASSED_OVER and value is not None]


def _known(field: str, name: str) -> str:
    if name not in _NAMES[field]:
        raise UsageError(f"{field} has no '{name}'; it has {', '.join(_NAMES[field])}")
    return _NAMES[field][name]


def _value(field: str, name: str, value: object) -> Any:
    wanted = str if _NAMES[field][name] in ("effort", "suffix") else int
    if type(value) is not wanted:
        kind = "text" if wanted is str else "a whole number"
        raise UsageError(f"{field}.{name} is {value!r}; it must be {kind}")
    return value
