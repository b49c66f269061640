"""One process's share of training the policy: its weights, optimisers and data, and what one step does.

What the processes must agree on, such as the time spent, comes from process 0 with the gradients. It does not
know how processes start, nor when to report or to stop.
"""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, distributed
from torch.nn import functional

from training import schedule
from training.batches import BUCKETS, Batch, Batches
from training.data import SECTIONS, read_section
from training.muon import Muon
from training.policy import Policy, Shape

MUON_RATE = 0.02
ADAM_RATE = 4e-3


@dataclass(frozen=True, slots=True)
class Settings:
    """What a training run is asked to do."""

    data: Path
    out: Path
    minutes: float = 45.0
    seed: int = 0
    shape: Shape = field(default_factory=Shape)
    tokens_per_batch: int = 1536  # of one process
    processes: int = 2
    eager: bool = False
    resume: bool = False
    bf16: bool = False  # many times slower than float32 on a processor without bf16 instructions


class Training:
    """One process's share of a run."""

    def __init__(self, settings: Settings, rank: int) -> None:
        self.settings = settings
        self.rank = rank
        torch.manual_seed(settings.seed)
        self.policy = Policy(settings.shape)
        matrices = [
            weight for name, weight in self.policy.named_parameters() if ".layers." in name and weight.ndim == 2
        ]
        inside = {id(weight) for weight in matrices}
        others = [weight for weight in self.policy.parameters() if id(weight) not in inside]
        self.muon = Muon(matrices, rank=rank, world=settings.processes)
        self.adam = torch.optim.AdamW(others, lr=ADAM_RATE, betas=(0.9, 0.95), weight_decay=0.0)
        self.batches = {
            name: Batches(
                read_section(settings.data / name),
                tokens_per_batch=settings.tokens_per_batch,
                world=settings.processes,
                seed=settings.seed,
            )
            for name in SECTIONS
        }
        self.step_count = 0
        self.token_count = 0
        self.spent_s = 0.0
        self.cursors = dict.fromkeys(SECTIONS, 0)
        self._loss = _loss if settings.eager else torch.compile(_loss, dynamic=False)
        if not settings.eager:
            for block in self.policy.model.blocks:
                block.compile(dynamic=False)

    def backward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Adds the batch's gradients; gives the weighted loss and the plain loss on solution tokens."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.settings.bf16):
            hidden = self.policy.hidden(batch.ids)
            loss, solution = self._loss(hidden, self.policy.lm_head.weight, batch.targets, batch.weights)
        torch.autograd.backward(loss)
        return loss.detach(), solution.detach()

    def step(self, elapsed_s: float) -> tuple[float, float]:
        """One step; gives the loss on solution tokens and the time that process 0 measured."""
        progress = min(1.0, self.spent_s / (self.settings.minutes * 60))
        name = schedule.section(progress, self.step_count)
        batch = self.batches[name].batch(self.cursors[name], self.rank)
        self.cursors[name] += 1
        _, solution = self.backward(batch)
        agreed = self._averaged(torch.tensor([float(solution), elapsed_s, float(batch.token_count)]))
        factor = schedule.rate(progress)
        for group in self.adam.param_groups:
            group["lr"] = ADAM_RATE * factor
        self.adam.step()
        self.muon.step(MUON_RATE * factor)
        self.policy.zero_grad(set_to_none=True)
        self.step_count += 1
        self.token_count += round(agreed[2] * self.settings.processes)
        return agreed[0], agreed[1]

    def _averaged(self, figures: Tensor) -> list[float]:
        """Averages gradients and figures over the processes in one message; the second figure is process 0's."""
        gradients = [weight.grad for weight in self.policy.parameters() if weight.grad is not None]
        if self.settings.processes == 1:
            return [float(figure) for figure in figures]
        figures = figures.clone()
        figures[1] = figures[1] * self.settings.processes if self.rank == 0 else 0.0
        flat = torch.cat([*(gradient.reshape(-1) for gradient in gradients), figures])
        distributed.all_reduce(flat)
        flat /= self.settings.processes
        at = 0
        for gradient in gradients:
            gradient.copy_(flat[at : at + gradient.numel()].view_as(gradient))
            at += gradient.numel()
        return [float(figure) for figure in flat[-len(figures) :]]

    def warm_up(self) -> None:
        """Compiles every shape, so that the clock starts with the first real step."""
        for bucket in BUCKETS:
            rows = max(1, self.settings.tokens_per_batch // bucket)
            ids = torch.zeros(rows, bucket, dtype=torch.int64)
            self.backward(Batch(ids, ids, torch.ones(rows, bucket), ids.numel()))
        self.policy.zero_grad(set_to_none=True)


def _loss(hidden: Tensor, head: Tensor, targets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """The weighted mean loss, and the mean over solution tokens alone."""
    logits = functional.linear(hidden, head).float()
    losses = functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
    flat = weights.flatten()
    solution = (flat > 0.5).float()
    return (losses * flat).sum() / flat.sum(), (losses * solution).sum() / solution.sum()
