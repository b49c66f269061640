"""Policies made of policies."""

from dataclasses import dataclass

from dynasor.allocation.progress import Grant, Policy, Progress


@dataclass(frozen=True, slots=True)
class FirstToStop:
    """Follow several policies at once: stop when any of them stops, and grant the least that any of them grants.

    So each policy is asked wherever it wanted to be, and in between as well; a policy judges where its rule says so.
    """

    policies: tuple[Policy, ...]

    def __call__(self, progress: Progress) -> Grant:
        """Ask each; the smallest grant holds."""
        return min((policy(progress) for policy in self.policies), key=lambda grant: grant.knob)
