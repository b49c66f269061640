"""What an engine was started with."""

from dataclasses import dataclass

from dynasor.errors import UsageError


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may run, and be done, at once.

    Attributes:
        sequences: most that run at once.
        step_tokens: most that a step computes, each decoding sequence taking one.
        stretch: most steps that are simulated at once; 1 to look at each, which changes nothing but the time it takes.
    """

    sequences: int = 256
    step_tokens: int = 2048
    stretch: int = 1 << 30

    def __post_init__(self) -> None:
        """Refuse what cannot run."""
        if not 1 <= self.sequences <= self.step_tokens or self.stretch < 1:
            raise UsageError(
                f"{self.sequences} sequences, {self.step_tokens} tokens a step and {self.stretch} steps at once; "
                "each must be at least 1, and every sequence needs a token of a step"
            )
