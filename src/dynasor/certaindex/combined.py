"""Certaindex of several signals: certain only if every one reaches its own threshold (paper 3.1 and Table 1).

A policy compares one reading with one threshold t. So each part's reading x in [0, 1], whose own threshold is s, is
drawn out piecewise linearly, such that s comes to lie on t, and the least of the parts is the combined reading:

    m(x) = t · x / s                            for x < s
    m(x) = t + (1 - t) · (x - s) / (1 - s)      for x >= s        (1 where s = 1)

    combined = min over the parts of m(x)

m never falls, keeps 0 (where s > 0) and 1, and m(x) >= t exactly if x >= s; so combined >= t exactly if every part
passes, also in floating point.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nextafter

from dynasor.certaindex.signal import Evidence, Signal
from dynasor.errors import UsageError


@dataclass(frozen=True, slots=True)
class Part:
    """A signal, and the reading from which it counts as certain."""

    signal: Signal
    threshold: float


@dataclass(frozen=True, slots=True)
class Combined:
    """A signal made of several.

    Attributes:
        parts: at least one.
        threshold: that of the policy which is to judge the reading; above 0.

    Raises:
        UsageError: without parts, or where a threshold is out of its range.
    """

    parts: Sequence[Part]
    threshold: float

    def __post_init__(self) -> None:
        """Refuse what could not tell certain from uncertain."""
        if not self.parts:
            raise UsageError("a combined certaindex has no parts; name at least one signal")
        if not 0.0 < self.threshold <= 1.0:
            raise UsageError(f"the combined threshold is {self.threshold}; it must be above 0 and at most 1")
        for part in self.parts:
            if not 0.0 <= part.threshold <= 1.0:
                raise UsageError(f"a signal's threshold is {part.threshold}; it must be between 0 and 1")

    def __call__(self, evidence: Evidence) -> float:
        """The reading in [0, 1]."""
        return min(drawn_out(part.signal(evidence), part.threshold, self.threshold) for part in self.parts)


def drawn_out(reading: float, own: float, threshold: float) -> float:
    """Map a reading so that its own threshold comes to lie on another: m(x) of the module."""
    if reading < own:
        return min(threshold * (reading / own), nextafter(threshold, 0.0))
    if own == 1.0:
        return 1.0
    return min(1.0, threshold + (1.0 - threshold) * ((reading - own) / (1.0 - own)))
