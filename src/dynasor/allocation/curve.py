"""Curves: the surer a program is, the less it may spend (paper 3.2 and 6.4: the Pareto skyline).

A table says where certaindex suffices. It is fitted elsewhere (`calibration.fit`); nothing is learned here.
"""

from dataclasses import dataclass

from dynasor.allocation.bounds import at_least
from dynasor.allocation.curve_table import Written, table_rows
from dynasor.allocation.progress import Grant, Progress, stop


@dataclass(frozen=True, slots=True)
class Curve:
    """Stop a program once its knob is what the table gives to its certaindex, or more; the cap where it gives nothing.

    Judged at the detection step and every `step` after it. With `step` 0 the reading of the detection step grants at
    once all that the table gives to it (the initial-step curve), and is taken anew only where that grant has ended: a
    policy remembers no program.

    Attributes:
        table: rows `certaindex@knob` with `/` between them, as in `1@5/0.7@12`: at least so certain, at most so much.
            A higher certaindex never gets more.
    """

    table: str
    detect_at: int = 5
    step: int = 0

    def __post_init__(self) -> None:
        """Refuse what is no curve."""
        at_least("detect_at", self.detect_at, 1)
        at_least("step", self.step, 0)
        object.__setattr__(self, "table", Written(self.table))
        table_rows(self.table)

    def __call__(self, progress: Progress) -> Grant:
        """Judge at the detection step, and where the step or the table says so."""
        knob = progress.knob
        judged_at = self._judged_at(knob, progress.cap)
        if judged_at > knob:
            return Grant(judged_at - knob)
        rows = table_rows(self.table)
        allowed = next((most for least, most in rows if progress.certaindex >= least), progress.cap)
        return stop("certain") if allowed <= knob else Grant(self.step or allowed - knob)

    def _judged_at(self, knob: int, cap: int) -> int:
        """The first knob from this one on at which it judges."""
        if knob <= self.detect_at:
            return self.detect_at
        if self.step:
            return knob + (self.detect_at - knob) % self.step
        return next((most for _, most in table_rows(self.table) if most >= knob), cap)
