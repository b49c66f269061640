"""When a request that runs is to report. Knows no engine."""


class Milestones:
    """Every so many generated tokens of one attempt at a request. What comes several tokens at once passes one only."""

    def __init__(self, every: int | None) -> None:
        """Without a distance there are none."""
        self._every = every
        self._next = every

    def passed(self, tokens: int) -> bool:
        """Whether so many tokens reach the next one; if so, it lies behind."""
        if self._every is None or self._next is None or tokens < self._next:
            return False
        self._next = (tokens // self._every + 1) * self._every
        return True
