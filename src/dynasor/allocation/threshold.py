"""Certaindex thresholds: stop the certain early, spend up to the cap on the rest (paper 3.2, 5.2.1, 6.4)."""

from dataclasses import dataclass

from dynasor.allocation.bounds import at_least, within
from dynasor.allocation.progress import Grant, Progress, stop


@dataclass(frozen=True, slots=True)
class StaticThreshold:
    """Stop if certaindex has reached the threshold at the detection step; else spend up to the cap (paper 6.1)."""

    threshold: float = 0.7
    detect_at: int = 5

    def __post_init__(self) -> None:
        """Refuse what can never be reached."""
        within("threshold", self.threshold, 0.0, 1.0)
        at_least("detect_at", self.detect_at, 1)

    def __call__(self, progress: Progress) -> Grant:
        """Judge once, at the detection step, also where another policy asks to be consulted more often."""
        if progress.knob < self.detect_at:
            return Grant(self.detect_at - progress.knob)
        certain = progress.knob == self.detect_at and progress.certaindex >= self.threshold
        return stop("certain") if certain else Grant(progress.remaining)


@dataclass(frozen=True, slots=True)
class SteppedThreshold:
    """Judge at the detection step and every `step` after it (the 5-step and single-step thresholds of paper 6.4)."""

    threshold: float = 0.7
    detect_at: int = 5
    step: int = 5

    def __post_init__(self) -> None:
        """Refuse what can never be reached."""
        within("threshold", self.threshold, 0.0, 1.0)
        at_least("detect_at", self.detect_at, 1)
        at_least("step", self.step, 1)

    def __call__(self, progress: Progress) -> Grant:
        """Judge at every step."""
        if progress.knob < self.detect_at:
            return Grant(self.detect_at - progress.knob)
        since_step = (progress.knob - self.detect_at) % self.step
        certain = not since_step and progress.certaindex >= self.threshold
        return stop("certain") if certain else Grant(self.step - since_step)
