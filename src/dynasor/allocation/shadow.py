"""A shadow program: it runs to its cap, and its policy is asked all the same, so that what that would lose is known.

Which problems have shadow programs is drawn from the seed and the problem's id, so a resumed run draws the same. It
knows no right answer, no promise and no host.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b

from dynasor.allocation.allocator import bounded
from dynasor.allocation.progress import Grant, Policy, Progress


@dataclass(frozen=True, slots=True)
class WouldEnd:
    """Where the policy would have ended a program.

    Attributes:
        answer: the leading one then.
        progress: how far the program had come.
        reason: the policy's.
    """

    answer: str | None
    progress: Progress
    reason: str


class Shadow:
    """A policy that grants what another one grants, and where that one stops, all that remains.

    Grants are waited for, so up to there the program is the one that it would have been.

    Attributes:
        would_end: where the other one would have ended the program; None as long as it would not.
    """

    def __init__(self, policy: Policy, leading: Callable[[], str | None]) -> None:
        """Follow a policy; `leading` tells the program's leading answer."""
        self._policy = policy
        self._leading = leading
        self.would_end: WouldEnd | None = None

    def __call__(self, progress: Progress) -> Grant:
        """Never a stop."""
        if self.would_end is None:
            grant = bounded(self._policy, progress)
            if grant:
                return grant
            self.would_end = WouldEnd(self._leading(), progress, grant.reason)
        return Grant(progress.remaining)


def is_shadow(problem: str, share: float, seed: int) -> bool:
    """Whether a problem, by its id, is among the seeded share that has shadow programs."""
    digest = blake2b(f"shadow/{seed}/{problem}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * 2**64
