"""Weighted voting with two prompts: half of the branches reason in words, half write Python.

A branch's vote weighs as much as its prompt's branches agree among themselves, so the prompt that suits the question
decides. Run it on the recording that ships with the package, or on a live server:

    dynasor run --trace svamp --program examples/two_prompts.py:TwoPrompts --cap 20 --limit 200
    dynasor run problems.jsonl --endpoint http://localhost:8000/v1 --program examples/two_prompts.py:TwoPrompts
"""

from dynasor import Execution, Message, Program, Request, entropy_certaindex
from dynasor.answers.voting import Ballot
from dynasor.request import Completion

PROMPTS = (
    "{}\n\nReason step by step, and put your final answer within \\boxed{{}}.",
    "{}\n\nWrite a Python function that computes it, trace it by hand, and put the result within \\boxed{{}}.",
)


class TwoPrompts(Program):
    """Branches alternate between two prompts; each prompt has a ballot of its own."""

    def execute(self) -> Execution:
        """Draw what is granted, then let the weighted votes decide."""
        self.ballots = [Ballot(self.setup.grouping()) for _ in PROMPTS]
        while knob := (yield self.claim()):
            yield self.gang([self.ask(len(self.branches) + n) for n in range(knob)])
        return self.weighted_majority()

    def ask(self, branch: int) -> Request:
        """Even branches get the first prompt, odd ones the second."""
        return self.request((Message("user", PROMPTS[branch % 2].format(self.problem.question)),))

    def land(self, completion: Completion) -> None:
        """Count the vote twice: among all branches, and among those of its prompt."""
        super().land(completion)
        self.ballots[completion.id.index % 2].cast(completion.id.index, self.answer_of(completion))

    def weighted_majority(self) -> str | None:
        """The answer with the most weight; equals go to the one reached first."""
        weights: dict[str, float] = {}
        for branch in sorted(self.branches, key=lambda branch: branch.id.index):
            if (answer := self.answer_of(branch)) is not None:
                weight = 1 + entropy_certaindex(self.ballots[branch.id.index % 2])
                weights[answer] = weights.get(answer, 0.0) + weight
        return max(weights, key=weights.__getitem__, default=None)
