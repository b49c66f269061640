"""A limit on the tokens of one program, over whatever else decides."""

from dataclasses import dataclass

from dynasor.allocation.progress import Grant, Policy, Progress, stop

SPENT = "token budget"


@dataclass(frozen=True, slots=True)
class TokenLimit:
    """Grant what another policy grants, as far as it is expected to fit into a number of tokens.

    What one turn of the knob takes is expected by the mean of those before. A first turn is always granted: without it
    there is no answer at all.

    Attributes:
        tokens: of the program, in all.
        turn_tokens: the most that a turn may take: what is expected before there was any.
    """

    policy: Policy
    tokens: int
    turn_tokens: int

    def __call__(self, progress: Progress) -> Grant:
        """Ask the policy, and shorten its grant."""
        grant = self.policy(progress)
        if not grant:
            return grant
        expected = progress.tokens / progress.knob if progress.knob else self.turn_tokens
        fitting = max(int((self.tokens - progress.tokens) / max(1.0, expected)), int(not progress.knob))
        return Grant(min(grant.knob, fitting), grant.reason) if fitting > 0 else stop(SPENT)
