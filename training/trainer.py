"""One process's share of a training: its model, optimisers and data, and what one step does.

What the processes must agree on, such as the time spent, comes from process 0 with the gradients. It does not
know what is learnt, how processes start, nor when to report or to stop.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor, distributed

from training import schedule
from training.muon import Muon
from training.policy import Policy, Shape


@dataclass(frozen=True, slots=True)
class Settings:
    """What a training run is asked to do."""

    data: Path
    out: Path
    minutes: float = 45.0
    tokens: int | None = None  # ends there in place of the minutes, and takes as long as it takes
    seed: int = 0
    shape: Shape = field(default_factory=Shape)
    tokens_per_batch: int = 1536  # of one process
    processes: int = 2
    muon_rate: float = 0.02
    adam_rate: float = 4e-3
    eager: bool = False
    resume: bool = False
    bf16: bool = False  # many times slower than float32 on a processor without bf16 instructions
    start: Path | None = None  # a policy's folder to start from, where the task does


class Counted(Protocol):
    """A batch that knows how many tokens it holds."""

    @property
    def token_count(self) -> int:
        """Tokens that are not padding."""
        ...


B = TypeVar("B", bound=Counted)
B_co = TypeVar("B_co", bound=Counted, covariant=True)


class Drawn(Protocol[B_co]):
    """Batches without end, the same for every process and every run of a seed."""

    def batch(self, index: int, rank: int) -> B_co:
        """The part of batch `index` that belongs to process `rank`."""
        ...


class Task(Protocol[B]):
    """What is learnt: a model, where its batches come from, and the loss of one."""

    @property
    def model(self) -> Policy:
        """What the gradients go to."""
        ...

    @property
    def sections(self) -> Mapping[str, Drawn[B]]:
        """The parts of the data."""
        ...

    def section(self, progress: float, step: int) -> str:
        """Which part a step takes, by the share of the time that is spent."""
        ...

    def losses(self, batch: B) -> tuple[Tensor, Tensor]:
        """What to descend, and the figure to report."""
        ...

    def shapes(self) -> Iterable[B]:
        """A batch of every shape, to compile with."""
        ...


class Training(Generic[B]):
    """One process's share of a run."""

    def __init__(self, settings: Settings, rank: int, task: Task[B]) -> None:
        self.settings = settings
        self.rank = rank
        self.task = task
        self.model = task.model
        learnt = {name: weight for name, weight in self.model.named_parameters() if weight.requires_grad}
        matrices = [weight for name, weight in learnt.items() if ".layers." in name and weight.ndim == 2]
        inside = {id(weight) for weight in matrices}
        others = [weight for weight in learnt.values() if id(weight) not in inside]
        self.muon = Muon(matrices, rank=rank, world=settings.processes, bf16=settings.bf16)
        self.adam = torch.optim.AdamW(others, lr=settings.adam_rate, betas=(0.9, 0.95), weight_decay=0.0)
        self.step_count = 0
        self.token_count = 0
        self.spent_s = 0.0
        self.cursors = dict.fromkeys(task.sections, 0)
        if settings.bf16:
            self.model.compute_in_bf16()
        if not settings.eager:
            for block in self.model.model.blocks:
                block.compile(dynamic=False)

    @property
    def progress(self) -> float:
        """The share of the budget that is spent, in [0, 1]."""
        if self.settings.tokens is not None:
            return min(1.0, self.token_count / self.settings.tokens)
        return min(1.0, self.spent_s / (self.settings.minutes * 60))

    def backward(self, batch: B) -> Tensor:
        """Adds the batch's gradients; gives the figure to report."""
        loss, figure = self.task.losses(batch)
        torch.autograd.backward(loss)
        return figure.detach()

    def step(self, elapsed_s: float) -> tuple[float, float]:
        """One step; gives the task's figure and the time that process 0 measured."""
        progress = self.progress
        name = self.task.section(progress, self.step_count)
        batch = self.task.sections[name].batch(self.cursors[name], self.rank)
        self.cursors[name] += 1
        figure = self.backward(batch)
        agreed = self._averaged(torch.tensor([float(figure), elapsed_s, float(batch.token_count)]))
        factor = schedule.rate(progress)
        for group in self.adam.param_groups:
            group["lr"] = self.settings.adam_rate * factor
        self.adam.step()
        self.muon.step(self.settings.muon_rate * factor)
        self.model.zero_grad(set_to_none=True)
        self.step_count += 1
        self.token_count += round(agreed[2] * self.settings.processes)
        return agreed[0], agreed[1]

    def _averaged(self, figures: Tensor) -> list[float]:
        """Averages gradients and figures over the processes in one message; the second figure is process 0's."""
        gradients = [weight.grad for weight in self.model.parameters() if weight.grad is not None]
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
        for batch in self.task.shapes():
            self.backward(batch)
        self.model.zero_grad(set_to_none=True)
