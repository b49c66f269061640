"""The learning rate and the choice of data as functions of the share of training time that is spent."""

WARM_UP, FLAT, LAST = 0.01, 0.30, 0.01
EASY_UNTIL = 0.15


def rate(progress: float) -> float:
    """The factor on the top learning rate at `progress` of 0 to 1: warm-up, flat, then linear down to 1 %."""
    if progress < WARM_UP:
        return max(0.02, progress / WARM_UP)
    if progress < FLAT:
        return 1.0
    return LAST + (1 - LAST) * max(0.0, 1 - progress) / (1 - FLAT)


def section(progress: float, step: int) -> str:
    """The data section of a step: the easy one at first (every fourth step excepted), then the full one."""
    return "easy" if progress < EASY_UNTIL and step % 4 else "full"
