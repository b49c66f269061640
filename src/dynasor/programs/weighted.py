"""Weighted self-consistency: the answer that weighs most, each branch by its score. Knob: the number of branches."""

from dynasor.answers.weighted import WeightedBallot
from dynasor.certaindex.signal import by_entropy
from dynasor.datasets.problem import Problem
from dynasor.programs.best_of_n import by_reward
from dynasor.programs.program import Program, Setup
from dynasor.programs.steps import Execution
from dynasor.request import Completion


class WeightedSelfConsistency(Program):
    """Draw branches, vote by weight: the setup's scorer, by default the reward. Ties go to the lowest-numbered branch.

    It does not answer by majority as `answers_by_majority` means it: no lead in votes is safe from one heavy branch.
    Where the run reads certaindex by entropy, it is that of the weights; policies that count votes count them plainly.

    Attributes:
        ballot: the weighted votes.
    """

    reads_scores = True

    def __init__(self, problem: Problem, setup: Setup) -> None:
        super().__init__(problem, setup)
        self.ballot = WeightedBallot(setup.grouping())

    def execute(self) -> Execution:
        """Draw what is granted until nothing more is."""
        while knob := (yield self.claim()):
            yield self.gang(knob)
        return self.ballot.majority

    def land(self, completion: Completion) -> None:
        """Take in one completion, and weigh it."""
        super().land(completion)
        self.weigh(completion)

    def weigh(self, completion: Completion) -> None:
        """Count its vote."""
        answer = self.answer_of(completion)
        if answer is None:
            self.ballot.cast_without_answer()
        else:
            self.ballot.cast(completion.id.index, answer, self.weight_of(completion))

    def weight_of(self, completion: Completion) -> float:
        """What an answer weighs; at least 0."""
        return (self.setup.scorer or by_reward)(completion)

    def update_certaindex(self) -> None:
        """How far the weights agree; any other signal than entropy is read as it is."""
        if self.setup.signal is by_entropy:
            self.certaindex = self.ballot.certaindex
        else:
            super().update_certaindex()
