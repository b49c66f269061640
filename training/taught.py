"""A reward model in training: the policy, which stays as it is, and layers above it.

What the policy expects to come next is known only after its last layer, so that it takes layers above to compare it
with what does come, and more to tell the end of the text. It does not know what is right.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from training.look_back import look_back
from training.policy import Norm, Policy, RewardModel


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a batch of [batch, tokens] says.

    Attributes:
        scores: of each prefix, [batch, tokens].
        guessed: the log-probability that the first layer above guesses for each token but the first.
        true: what the policy gave it.
    """

    scores: Tensor
    guessed: Tensor
    true: Tensor


class Taught(RewardModel):
    """The model that is trained; `kept` is what serves.

    The first layer above has a head of its own, which is not kept: it guesses how likely the policy found each token
    that came. That is a lesson at every token, whose answer the policy knows, in what that layer must see before any
    of the others can tell right from wrong.
    """

    def __init__(self, policy: Policy, layers: int) -> None:
        shape = policy.shape
        super().__init__(replace(shape, layers=shape.layers + layers))
        self.load_state_dict(policy.state_dict(), strict=False)
        self.requires_grad_(requires_grad=False)
        self.policy_norm = policy.model.norm.requires_grad_(requires_grad=False)
        self.policy_layers = shape.layers
        self.likelihood = nn.Sequential(Norm(shape.width, shape.epsilon), nn.Linear(shape.width, 1))
        self._begin()

    def _begin(self) -> None:
        first, *others = self.model.blocks[self.policy_layers :]
        for weight in (first.self_attn.v_proj.weight, first.mlp.gate_proj.weight, first.mlp.up_proj.weight):
            nn.init.orthogonal_(weight)
        nn.init.orthogonal_(first.self_attn.o_proj.weight, gain=2.0)  # as large as what the policy wrote
        for block in others:  # they do nothing yet
            nn.init.zeros_(block.self_attn.o_proj.weight)
            nn.init.zeros_(block.mlp.down_proj.weight)
        for module in (first, *others, self.model.norm, self.score):
            module.requires_grad_(requires_grad=True)

    def look_back(self, ids: Tensor, real: Tensor) -> None:
        """Has the first layer above begin by looking at the token before; `real` marks the tokens to fit it on."""
        look_back(self.model.blocks[self.policy_layers], self.shape, self._below(ids)[real])

    def kept(self) -> RewardModel:
        """What serves."""
        model = RewardModel(self.shape)
        model.load_state_dict(self.state_dict(), strict=False)
        return model

    def lesson(self, ids: Tensor) -> Lesson:
        """Reads token ids of [batch, tokens]."""
        below = self._below(ids)
        with torch.no_grad():
            expected = self.lm_head(self.policy_norm(below[:, :-1])).log_softmax(dim=-1)
            true = expected.gather(2, ids[:, 1:, None])[..., 0]
        first, *others = self.model.blocks[self.policy_layers :]
        seen = self.through([first], below)
        scores = self.score(self.model.norm(self.through(others, seen)))[..., 0]
        return Lesson(scores, self.likelihood(seen[:, 1:])[..., 0], true)

    @torch.no_grad()
    def _below(self, ids: Tensor) -> Tensor:
        """What the policy's last layer gives, before the norm."""
        return self.through(self.model.blocks[: self.policy_layers], self.model.embed_tokens(ids))
