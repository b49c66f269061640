"""Best-of-n: the answer of the best-scored branch (paper 2.1). Knob: the number of branches."""

from collections.abc import Mapping
from math import exp

from dynasor.errors import ProgramError
from dynasor.programs.program import Program, Scorer
from dynasor.programs.steps import Execution
from dynasor.request import Completion


class BestOfN(Program):
    """Draw branches, answer with the best of those that have an answer; equals go to the lowest-numbered branch."""

    reads_scores = True

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
        raise ProgramError("to score by reward needs rewards, and these completions carry none; try --scorer logprob")
    return completion.reward


def by_logprob(completion: Completion) -> float:
    """How sure the model was of all tokens."""
    return _probability(completion.mean_logprob)


def by_tail(completion: Completion) -> float:
    """How sure the model was of the last tokens, where it states its answer (DeepConf's tail confidence)."""
    return _probability(completion.tail_logprob)


def by_lowest(completion: Completion) -> float:
    """How sure the model was where it was least sure (DeepConf's lowest group confidence)."""
    return _probability(completion.lowest_logprob)


def by_brevity(completion: Completion) -> float:
    """The shorter the better: 1 / (1 + tokens)."""
    return 1.0 / (1 + (completion.tokens or 0))


SCORERS: Mapping[str, Scorer] = {
    "reward": by_reward,
    "logprob": by_logprob,
    "tail": by_tail,
    "lowest": by_lowest,
    "brevity": by_brevity,
}


def _probability(mean_logprob: float | None) -> float:
    """The geometric mean of the tokens' probabilities, exp(mean log p), in [0, 1].

    DeepConf weighs by -mean log p over the likeliest twenty, which is positive and grows with the confidence. Over the
    tokens that were drawn that figure falls with it; the exponential is monotone in the mean, and no weight below 0.
    """
    if mean_logprob is None:
        raise ProgramError("to score by log-probability needs them, and these completions carry none; add --logprobs")
    return exp(min(0.0, mean_logprob))
