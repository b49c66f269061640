"""Best-of-n: the answer of the best-scored branch (paper 2.1). Knob: the number of branches."""

from collections.abc import Mapping

from dynasor.errors import ProgramError
from dynasor.programs.program import Execution, Program, Scorer
from dynasor.request import Completion


class BestOfN(Program):
    """Draw branches, answer with the best of those that have an answer; equals go to the lowest-numbered branch."""

    def execute(self) -> Execution:
        """Draw what is granted until nothing more is, then choose."""
        scorer = self.setup.scorer or by_reward
        while knob := (yield self.claim()):
            yield self.gang(knob)
        answered = [(branch, answer) for branch in self.branches if (answer := self.answer_of(branch)) is not None]
        if not answered:
            return None
        return max(answered, key=lambda pair: (scorer(pair[0]), -pair[0].id.index))[1]


def by_reward(completion: Completion) -> float:
    """The reward model's output."""
    if completion.reward is None:
        raise ProgramError("best-of-n by reward needs rewards, and these completions carry none; try --scorer logprob")
    return completion.reward


def by_logprob(completion: Completion) -> float:
    """The mean log-probability of the branch's tokens."""
    if completion.mean_logprob is None:
        raise ProgramError("best-of-n by log-probability needs log-probabilities, and these completions carry none")
    return completion.mean_logprob


def by_brevity(completion: Completion) -> float:
    """The shorter the better."""
    return -float(completion.tokens or 0)


SCORERS: Mapping[str, Scorer] = {"reward": by_reward, "logprob": by_logprob, "brevity": by_brevity}
