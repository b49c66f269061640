"""What the policy learns: the next token of solutions, chains of thought and, a little, of questions.

It starts afresh, or, for the last lesson, from a policy that has learnt to solve (training/erring.py).
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

from training import model_folder, schedule
from training.batches import BUCKETS, Batch, Batches
from training.data import SECTIONS, read_section
from training.policy import Policy
from training.trainer import Settings


class PolicyTask:
    """A policy and its batches."""

    def __init__(self, settings: Settings) -> None:
        torch.manual_seed(settings.seed)
        self.model = Policy(settings.shape) if settings.start is None else model_folder.load(settings.start).train()
        self._last_lesson = settings.start is not None
        self.sections = {
            name: Batches(
                read_section(settings.data / name),
                tokens_per_batch=settings.tokens_per_batch,
                world=settings.processes,
                seed=settings.seed,
            )
            for name in SECTIONS
        }
        self._tokens_per_batch = settings.tokens_per_batch
        self._loss = _loss if settings.eager else torch.compile(_loss, dynamic=False)

    def section(self, progress: float, step: int) -> str:
        """Short problems and bare arithmetic first; solutions with slips in the last lesson."""
        return "erring" if self._last_lesson else schedule.section(progress, step)

    def losses(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The weighted loss, and the plain loss on the tokens after the prompt."""
        return self._loss(self.model.hidden(batch.ids), self.model.lm_head.weight, batch.targets, batch.weights)

    def shapes(self) -> Iterator[Batch]:
        """Every bucket, filled with zeros."""
        for bucket in BUCKETS:
            rows = max(1, self._tokens_per_batch // bucket)
            ids = torch.zeros(rows, bucket, dtype=torch.int64)
            yield Batch(ids, ids, torch.ones(rows, bucket), ids.numel())


def _loss(hidden: Tensor, head: Tensor, targets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """The weighted mean loss, and the mean over solution tokens alone."""
    logits = functional.linear(hidden, head).float()
    losses = functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
    flat = weights.flatten()
    solution = (flat > 0.5).float()
    return (losses * flat).sum() / flat.sum(), (losses * solution).sum() / solution.sum()
