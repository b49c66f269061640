"""Stop when the vote is decided: the one rule that saves tokens with provably the same answer."""

from dataclasses import dataclass

from dynasor.allocation.progress import Grant, Progress, stop


@dataclass(frozen=True, slots=True)
class Decided:
    """Stop once the branches that remain cannot change the majority.

    The leader is safe when its lead exceeds what remains; when the lead equals what remains, it is safe if it would
    win every tie. A branch moves the lead by at most one, so the lead cannot be decisive before half of the
    difference has been drawn: granting that much at once costs no saving and leaves few rounds.
    """

    def __call__(self, progress: Progress) -> Grant:
        """Judge whenever the vote could be decided."""
        votes = progress.votes
        lead = votes.leader - votes.runner_up
        if votes.leader and (lead > progress.remaining or (lead == progress.remaining and votes.leader_wins_ties)):
            return stop("decided")
        return Grant(max(1, -((lead - progress.remaining) // 2)))
