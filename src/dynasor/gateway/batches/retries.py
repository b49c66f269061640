"""Whether an item that got no answer is asked once more, and when. Who waits for a batch waits for an answer.

What may pass is waited for until the batch's time is over; what may be the item's own doing, a few times.
"""

import msgspec

from dynasor.gateway.batches.asking import Answered

_PASSING = frozenset({429, 503})
_DOUBTFUL = frozenset({408, 500, 502, 504})
_DOUBTFUL_ATTEMPTS = 3
_FIRST_S, _LONGEST_S = 0.5, 60.0
_OTHERS_FAULTS = frozenset({"backend_down", "shutting_down"})
_BACKEND_DOWN_STATUS = 502


class _Error(msgspec.Struct):
    code: str | int | None = None


class _Told(msgspec.Struct):
    error: _Error | None = None


def wait_s(answered: Answered, attempts: int) -> float | None:
    """Seconds until an item that was asked so many times is asked again; None: this is its answer."""
    if answered.headers.get(b"x-should-retry") == b"false":
        return None
    passes = answered.status in _PASSING
    if answered.status == _BACKEND_DOWN_STATUS and _code(answered.body) in _OTHERS_FAULTS:
        passes = True
    if not passes and not (answered.status in _DOUBTFUL and attempts < _DOUBTFUL_ATTEMPTS):
        return None
    told = _told_s(answered)
    grown = min(_LONGEST_S, _FIRST_S * 2.0 ** min(attempts - 1, 10))
    if told is None:
        return grown
    return told if answered.status == 429 else max(told, grown)


def _told_s(answered: Answered) -> float | None:
    for name, unit_s in ((b"retry-after-ms", 0.001), (b"retry-after", 1.0)):
        told = answered.headers.get(name, b"")
        if told.isdigit():
            return int(told) * unit_s
    return None


def _code(body: bytes) -> str | int | None:
    try:
        error = msgspec.json.decode(body, type=_Told).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return None if error is None else error.code
