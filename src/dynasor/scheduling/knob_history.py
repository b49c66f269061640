"""How much further programs of a kind have turned their knobs, from where they stood: history, as for their lengths.

A policy that stops early makes a new program shorter than its cap tells, and one that has been granted more than the
first round longer than a new one: so what is expected is learned from where programs were, and where they ended.
"""

from dynasor.scheduling.estimate import Kind, expected_knob


class KnobHistory:
    """Means over the programs of a kind that were once granted up to a knob, of what they turned beyond it."""

    def __init__(self) -> None:
        self._beyond: dict[tuple[Kind, int], int] = {}
        self._count: dict[tuple[Kind, int], int] = {}

    def expected(self, kind: Kind, knob: int, granted: int, cap: int, certaindex: float) -> float:
        """The knob that a program is expected to turn yet: what was granted, and what others then turned.

        Before any program of the kind that was granted as far has ended, `expected_knob` tells.
        """
        goal = kind, knob + granted
        count = self._count.get(goal, 0)
        if not count:
            return expected_knob(granted, cap - knob, certaindex)
        return granted + self._beyond[goal] / count

    def observe(self, kind: Kind, goals: set[int], knob: int) -> None:
        """A program ended at a knob, having been granted up to each of these before."""
        for goal in goals:
            place = kind, goal
            self._count[place] = self._count.get(place, 0) + 1
            self._beyond[place] = self._beyond.get(place, 0) + max(0, knob - goal)
