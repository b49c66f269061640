"""A place in a trace, and how it is told from one server to the next (W3C Trace Context). It knows no library."""

import re
from collections.abc import Mapping
from typing import NamedTuple

PARENT, STATE = b"traceparent", b"tracestate"
_SOUND_STATE = re.compile(rb"[\x20-\x7e]{1,512}")
_SOUND_PARENT = re.compile(rb"[0-9a-f-]{55,128}")


class TraceContext(NamedTuple):
    """One span's place.

    Attributes:
        trace_id: of 128 bits.
        span_id: of 64 bits.
        is_sampled: whether whoever comes next should record it too.
        state: what other systems keep in it, as it came.
    """

    trace_id: int
    span_id: int
    is_sampled: bool
    state: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """What tells it to a server."""
        told = {PARENT.decode(): f"00-{self.trace_id:032x}-{self.span_id:016x}-{int(self.is_sampled):02x}"}
        return told | {STATE.decode(): self.state} if self.state else told


def told_in(headers: Mapping[bytes, bytes]) -> dict[str, str]:
    """What a client tells of its trace, if it looks sound: to be read, or to be passed on as it is."""
    parent, state = headers.get(PARENT), headers.get(STATE)
    if parent is None or _SOUND_PARENT.fullmatch(parent) is None:
        return {}
    told = {PARENT.decode(): parent.decode()}
    if state is not None and _SOUND_STATE.fullmatch(state) is not None:
        told[STATE.decode()] = state.decode()
    return told
