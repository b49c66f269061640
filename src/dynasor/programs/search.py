"""What Rebase and MCTS share: steps asked for below the nodes of one tree, and finished paths that vote as branches.

A search turns its knob by itself, by one for every path that has come to its end: how many of a gang's steps will end
theirs is known only when they have landed. Intermediate steps cost tokens and cast no vote.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import msgspec

from dynasor.certaindex.combined import Combined, Part
from dynasor.certaindex.signal import SIGNALS, Signal, by_entropy
from dynasor.datasets.problem import Problem
from dynasor.errors import ProgramError
from dynasor.programs.best_of_n import by_reward
from dynasor.programs.choosing import CHOICES, path_score
from dynasor.programs.program import Program, Scorer, Setup
from dynasor.programs.search_settings import SearchSettings
from dynasor.programs.step_endings import StepEndings
from dynasor.programs.tree import Node, Tree
from dynasor.request import Completion, Finish, Request, Sampling, continued


class Search(Program):
    """A program that grows a tree step by step.

    Attributes:
        settings: how it searches; `with_settings` changes it.
        reward_signal: how certaindex is read from the rewards of finished paths.
        wants_logprobs: whether steps are asked for with their log-probabilities.
        tree: all steps so far.
        candidates: the finished paths that have voted, in the order in which they did.
    """

    settings: ClassVar[SearchSettings] = SearchSettings()
    reads_scores = True
    replays = False
    reward_signal: ClassVar[str] = "reward-max"

    def __init__(self, problem: Problem, setup: Setup) -> None:
        super().__init__(problem, setup)
        settings, limit = self.settings, setup.sampling.max_tokens
        self.tree = Tree()
        self.candidates: list[Node] = []
        self._scorer: Scorer = setup.scorer or by_reward
        self._endings = StepEndings(setup.extract, settings.step_end, settings.max_depth, limit)
        self._signal = self._chosen_signal()
        self._parents: dict[int, Node] = {}  # of the steps in flight

    @property
    def wants_logprobs(self) -> bool:
        """Where the run does."""
        return self.setup.sampling.logprobs

    def update_certaindex(self) -> None:
        """By what the settings say; a setup whose signal is not the default says it for all algorithms."""
        self.certaindex = self._signal(self.evidence)

    def land(self, completion: Completion) -> None:
        """Take in a step: it becomes a node, and is paid for."""
        node = self._endings.read(self._parents.pop(completion.id.index), completion)
        node.reward = self._reward(completion)
        self.tree.nodes[node.index] = node
        self.branches.append(completion)
        self.evidence.spend(completion.tokens, completion.mean_logprob)
        self.place(node)

    def place(self, node: Node) -> None:
        """Take note of a node that has landed: a path that has ended votes."""
        if node.end is not None:
            self.vote(node)

    def vote(self, node: Node) -> None:
        """Take a finished path as a candidate, which turns the knob."""
        evidence = self.evidence
        evidence.ballot.cast(node.index, node.answer)
        evidence.finished += 1
        evidence.reward(node.reward)
        self.candidates.append(node)
        self.knob += 1

    def even_tokens(self, failed_count: int) -> float:
        """In proportion to the knob: later iterations are taken to cost what earlier ones did."""
        del failed_count
        return self.evidence.tokens / self.knob * self.setup.cap if self.knob else 0.0

    def answer_of(self, completion: Completion) -> str | None:
        """The answer of the whole path that ends with this step; None for a step in mid-course, cut or failed."""
        node = self.tree.nodes.get(completion.id.index)
        return node.answer if node else None

    def steps(self, node: Node, count: int) -> list[Request]:
        """Requests for steps that follow a node; all share one prompt, of which the path's prefix is cached."""
        prompt = continued(self.prompt, node.path_text)
        sampling = self._sampling(node)
        scored = self.setup.scored or self._scorer is by_reward
        requests = [msgspec.structs.replace(self.request(prompt, sampling), scored=scored) for _ in range(count)]
        self._parents |= {request.id.index: node for request in requests}
        return requests

    def grown(self, landed: Sequence[Completion]) -> list[Node]:
        """The nodes of a gang, without the steps that failed, in the order in which they were asked for."""
        return [self.tree.nodes[step.id.index] for step in landed if step.finish is not Finish.FAILED]

    def chosen(self) -> str | None:
        """The answer that the finished paths come to."""
        settings = self.settings
        return CHOICES[settings.answer](self.candidates, path_score(settings.path_score), self.setup.grouping())

    def _sampling(self, node: Node) -> Sampling:
        whole, end = self.setup.sampling, self.settings.step_end
        left = whole.max_tokens - node.tokens
        return msgspec.structs.replace(
            whole,
            max_tokens=min(self.settings.step_tokens, left),
            stop=(end, *(stop for stop in whole.stop if stop != end)),
            logprobs=self.wants_logprobs,
        )

    def _reward(self, completion: Completion) -> float:
        reward = self._scorer(completion)
        if not 0.0 <= reward <= 1.0:
            name = type(self).__name__
            raise ProgramError(f"{name} needs rewards in [0, 1], and got {reward!r}; choose another --scorer")
        return reward

    def _chosen_signal(self) -> Signal:
        settings, by_rewards = self.settings, SIGNALS[self.reward_signal]
        if self.setup.signal is not by_entropy:
            return self.setup.signal
        parts = (Part(by_entropy, settings.entropy_threshold), Part(by_rewards, settings.reward_threshold))
        known: Mapping[str, Signal] = {"entropy": by_entropy, "reward": by_rewards}
        return known.get(settings.certaindex) or Combined(parts, settings.threshold)
