"""One program's allocator: a policy, bounded by the resource cap, asked at the right moments.

There are two ways to spend a grant. In rounds, a program waits for what it was granted before it asks for more. In
flight, everything up to the cap is started at once, and what the policy would not have granted is cut when the policy
would have been asked. Both put the same questions to the policy after the same number of branches; the second trades
tokens of cut branches for the latency of the rounds, which the paper pays (6.4).
"""

from typing import Protocol

from dynasor.allocation.progress import CAP_REACHED, Grant, Policy, Progress, asked, stop


class Allocator(Protocol):
    """Decides for one program."""

    @property
    def watches(self) -> bool:
        """Whether it wants to be asked at every branch that lands (`cut`), not only at claims."""
        ...

    def grant(self, progress: Progress) -> Grant:
        """Answer a claim: how much further the knob may be turned; never beyond the cap."""
        ...

    def cut(self, progress: Progress) -> bool:
        """Whether what is in flight can be cut."""
        ...


class InRounds:
    """Grant what the policy grants, and wait for it."""

    watches = False

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def grant(self, progress: Progress) -> Grant:
        """Ask the policy; never grant more than remains."""
        return bounded(self._policy, progress)

    def cut(self, progress: Progress) -> bool:
        """Never: what was granted is drawn."""
        return False


class InFlight:
    """Grant everything at once, and cut what the policy would not have granted."""

    watches = True

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._ask_at = -1  # the knob at which the policy wants to be asked next
        self._stopped: Grant | None = None

    def grant(self, progress: Progress) -> Grant:
        """Grant all that remains, unless the policy has stopped the program."""
        self.cut(progress)
        if self._stopped is not None:
            return self._stopped
        return Grant(progress.remaining) if progress.remaining > 0 else CAP_REACHED

    def cut(self, progress: Progress) -> bool:
        """Ask the policy where its last grant would have ended."""
        if self._stopped is None and progress.knob >= self._ask_at:
            grant = bounded(self._policy, progress)
            self._ask_at = progress.knob + grant.knob
            self._stopped = None if grant else grant
        return self._stopped is not None


def bounded(policy: Policy, progress: Progress) -> Grant:
    """Ask a policy, within the cap.

    Raises:
        ProgramError: if what the policy returns is not a grant of a whole number of at least 0.
    """
    if progress.remaining <= 0:
        return CAP_REACHED
    grant = asked(policy, progress)
    if grant.knob > progress.remaining:
        return Grant(progress.remaining)
    return grant if grant or grant.reason else stop("policy")
