"""Muon: momentum whose update is made orthogonal, for the matrices inside the blocks.

After K. Jordan and others, "Muon: An optimizer for hidden layers in neural networks" (2024),
https://kellerjordan.github.io/posts/muon/ (the quintic Newton-Schulz coefficients are theirs). Matrices of one shape
are treated as one batch, which is what makes it cheap for many small matrices. It knows no
learning rate schedule.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, distributed, nn

_A, _B, _C = 3.4445, -4.7750, 2.0315
_MOMENTUM = 0.95
_DECAY = 0.1
"""Without it queries and keys grow until attention looks at one token only: 9,000 steps led to logits of 600."""


def orthogonal(batch: Tensor, rounds: int = 5) -> Tensor:
    """Roughly the nearest semi-orthogonal matrices of [count, rows, columns] (singular values of about 0.7 to 1.2)."""
    wide = batch if batch.shape[-2] <= batch.shape[-1] else batch.mT
    x = wide / (wide.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(rounds):
        square = x @ x.mT
        x = _A * x + (_B * square + _C * square @ square) @ x
    out: Tensor = x if batch.shape[-2] <= batch.shape[-1] else x.mT
    return out


class Muon:
    """Holds the momentum of its matrices; `step` moves them along the gradients that they carry."""

    def __init__(self, matrices: Iterable[nn.Parameter], *, rank: int = 0, world: int = 1, bf16: bool = False) -> None:
        self._type = torch.bfloat16 if bf16 else torch.float32  # of the orthogonal update alone
        self.rank, self.world = rank, world
        self.groups: dict[tuple[int, int], list[nn.Parameter]] = {}
        for matrix in matrices:
            rows, columns = matrix.shape
            self.groups.setdefault((rows, columns), []).append(matrix)
        self.velocity = {size: torch.zeros(len(group), *size) for size, group in self.groups.items()}

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """One Nesterov step with learning rate `rate`; each process orthogonalises its part and all learn the whole."""
        updates = {size: self._update(size, group) for size, group in self.groups.items()}
        if self.world > 1:
            flat = torch.cat([update.reshape(-1) for update in updates.values()])
            distributed.all_reduce(flat)  # the parts of the others are zero here
            parts = torch.split(flat, [update.numel() for update in updates.values()])
            updates = {size: part.view(-1, *size) for size, part in zip(updates, parts, strict=True)}
        for (rows, columns), update in updates.items():
            scale = rate * max(1.0, rows / columns) ** 0.5
            for matrix, change in zip(self.groups[rows, columns], update, strict=True):
                matrix.mul_(1 - rate * _DECAY).sub_(change, alpha=scale)

    def _update(self, size: tuple[int, int], group: list[nn.Parameter]) -> Tensor:
        """This process's share of a group's orthogonal updates, zero elsewhere."""
        gradient = torch.stack([matrix.grad for matrix in group if matrix.grad is not None])
        velocity = self.velocity[size]
        velocity.lerp_(gradient, 1 - _MOMENTUM)
        update = torch.zeros_like(gradient)
        mine = slice(self.rank, None, self.world)
        leading = gradient[mine].lerp(velocity[mine], _MOMENTUM)
        update[mine] = orthogonal(leading.to(self._type)).to(update.dtype)
        return update

    def state(self) -> list[Tensor]:
        """The momentum, for a checkpoint."""
        return list(self.velocity.values())

    def restore(self, state: list[Tensor]) -> None:
        """Puts a checkpoint's momentum back."""
        for mine, saved in zip(self.velocity.values(), state, strict=True):
            mine.copy_(saved)
