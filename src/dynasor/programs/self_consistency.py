"""Self-consistency: majority vote over independent branches (paper 2.1). Knob: the number of branches."""

from dynasor.programs.program import Program
from dynasor.programs.steps import Execution


class SelfConsistency(Program):
    """Draw branches, vote. Ties go to the answer reached first, that is by the lowest-numbered branch."""

    answers_by_majority = True

    def execute(self) -> Execution:
        """Draw what is granted until nothing more is."""
        while knob := (yield self.claim()):
            yield self.gang(knob)
        return self.evidence.ballot.majority
