"""What the reward model learns: whether everything is right so far, token by token, and which of four is better.

It is a few layers above the policy, which stays as it is: it sees what the policy expects and what comes instead. The
loss within a question is what makes it rank: a loss over all questions alone learns which questions are hard.
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

from training import model_folder
from training import tokenizer as tokenizing
from training.batches import BUCKETS
from training.reward_batches import RewardBatch, RewardBatches, group_count
from training.reward_data import GROUP, read
from training.taught import Lesson, Taught
from training.trainer import Settings

SAMPLED_EVERY = 3  # steps: the others are of made solutions, of which there are more
PAIR_WEIGHT = 1.0
LIKELIHOOD_WEIGHT = 1.0
LEAST_LIKELY = -8.0  # log-probability: whatever is less likely than that is a surprise like any other
LAYERS_ABOVE = 3


class RewardTask:
    """A reward model that starts from a policy, and its batches."""

    def __init__(self, settings: Settings) -> None:
        if settings.start is None:
            raise SystemExit("a reward model starts from a policy: name its folder")
        torch.manual_seed(settings.seed)
        policy = model_folder.load(settings.start)
        self.model = Taught(policy, LAYERS_ABOVE)
        newline = tokenizing.load(settings.start).encode("\n").ids[0]
        self.sections = {
            name: RewardBatches(
                read(settings.data / name),
                newline=newline,
                tokens_per_batch=settings.tokens_per_batch,
                world=settings.processes,
                seed=settings.seed,
            )
            for name in ("sampled", "made")
        }
        some = self.sections["made"].batch(0, rank=0)
        self.model.look_back(some.ids, some.real)
        self._tokens_per_batch = settings.tokens_per_batch
        self._loss = _loss if settings.eager else torch.compile(_loss, dynamic=False)

    def section(self, progress: float, step: int) -> str:
        """The policy's own samples and made solutions in turn."""
        del progress
        return "sampled" if step % SAMPLED_EVERY == 0 else "made"

    def losses(self, batch: RewardBatch) -> tuple[Tensor, Tensor]:
        """The sum of both losses, and the one within questions."""
        told = self.model.lesson(batch.ids)
        ranked, within = self._loss(told.scores, batch.labels, batch.weights, batch.last, batch.right)
        return ranked + LIKELIHOOD_WEIGHT * _apart(told, batch.weights[:, 1:] > 0), within

    def shapes(self) -> Iterator[RewardBatch]:
        """Every bucket that solutions need, with labels of both kinds."""
        for bucket in (bucket for bucket in BUCKETS if any(len(one.members[bucket]) for one in self.sections.values())):
            rows = GROUP * group_count(self._tokens_per_batch, bucket)
            ids = torch.zeros(rows, bucket, dtype=torch.int64)
            ones = torch.ones(rows, bucket)
            right = (torch.arange(rows) % 2).float()
            yield RewardBatch(ids, ones, ones, torch.full((rows,), bucket - 1), right, ids.numel())


def _loss(scores: Tensor, labels: Tensor, weights: Tensor, last: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    each = functional.binary_cross_entropy_with_logits(scores, labels, reduction="none")
    pointwise = (each * weights).sum() / weights.sum()
    final = scores.gather(1, last[:, None])[:, 0].view(-1, GROUP)
    good = right.view(-1, GROUP)
    pairs = good[:, :, None] * (1 - good[:, None, :])
    lost = functional.softplus(final[:, None, :] - final[:, :, None])  # the worse one's score minus the better one's
    within = (lost * pairs).sum() / pairs.sum().clamp(min=1.0)
    return pointwise + PAIR_WEIGHT * within, within


def _apart(told: Lesson, wanted: Tensor) -> Tensor:
    apart = (told.guessed - told.true.clamp(min=LEAST_LIKELY)).square()
    return (apart * wanted).sum() / wanted.sum()
