"""How much further programs of a kind have turned their knobs, from where they stood: history, as for their lengths.

A policy that stops early makes a new program shorter than its cap tells, and one that has been granted more than the
first round longer than a new one: so what is expected is learned from where programs were, and where they ended.
"""

from collections.abc import Iterable

from dynasor.scheduling.estimate import Kind

_DRIFT = 0.1


class KnobHistory:
    """Means over the programs of a kind that were once granted up to a knob, of what they turned beyond it.

    A mean is published anew only once it has moved by a tenth, or by a tenth of one where it is less than one.
    """

    def __init__(self) -> None:
        self._beyond: dict[tuple[Kind, int], int] = {}
        self._count: dict[tuple[Kind, int], int] = {}
        self._published: dict[tuple[Kind, int], float] = {}

    def beyond(self, kind: Kind, goal: int) -> float | None:
        """The published mean; None before any program of the kind that was granted as far has ended."""
        return self._published.get((kind, goal))

    def observe(self, kind: Kind, goals: Iterable[int], knob: int) -> bool:
        """A program ended at a knob, having been granted up to each of these; returns whether a mean was published."""
        published = [self._observe((kind, goal), max(0, knob - goal)) for goal in goals]
        return any(published)

    def _observe(self, place: tuple[Kind, int], beyond: int) -> bool:
        self._count[place] = self._count.get(place, 0) + 1
        self._beyond[place] = self._beyond.get(place, 0) + beyond
        mean, published = self._beyond[place] / self._count[place], self._published.get(place)
        if published is not None and abs(mean - published) <= _DRIFT * max(1.0, published):
            return False
        self._published[place] = mean
        return True
