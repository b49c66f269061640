"""Batches of a few static shapes from a data section, the same for every process and every run of a seed.

Documents are padded to the next bucket and never packed: each starts at position 0, as it does when it is served.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.data import Section
from training.order import Order

BUCKETS = (64, 104, 144, 184, 224, 272, 336, 432)  # inputs; a longer document is left out
QUESTION_WEIGHT = 0.2


@dataclass(frozen=True, slots=True)
class Batch:
    """Inputs, targets and the loss weight of each target, all [rows, bucket]; tokens that are not padding."""

    ids: Tensor
    targets: Tensor
    weights: Tensor
    token_count: int


class Batches:
    """All batches of a section in a seeded order; `batch(i)` wraps around in a new order each time."""

    def __init__(self, section: Section, *, tokens_per_batch: int, world: int, seed: int) -> None:
        self._section = section
        sizes = {bucket: max(1, tokens_per_batch // bucket) for bucket in BUCKETS}
        lengths = np.diff(section.starts)
        places = np.searchsorted(np.asarray(BUCKETS) + 1, lengths)  # a target is one token later, so one more fits
        members = {bucket: np.flatnonzero(places == place) for place, bucket in enumerate(BUCKETS)}
        self._order = Order(members, sizes, world=world, seed=seed)
        self.count = self._order.count

    def batch(self, index: int, rank: int) -> Batch:
        """The part of batch `index` that belongs to process `rank`."""
        return self._filled(*self._order.drawn(index, rank))

    def _filled(self, bucket: int, members: NDArray[np.int64]) -> Batch:
        ids = np.zeros((len(members), bucket), dtype=np.int64)
        targets, weights = np.zeros_like(ids), np.zeros(ids.shape, dtype=np.float32)
        count = 0
        for row, member in enumerate(members):
            start, end = self._section.starts[member : member + 2]
            document = self._section.tokens[start:end].astype(np.int64)
            length, prompt = len(document) - 1, int(self._section.prompts[member])
            ids[row, :length], targets[row, :length] = document[:-1], document[1:]
            weights[row, :length] = 1.0
            weights[row, : prompt - 1] = QUESTION_WEIGHT
            count += length
        return Batch(torch.from_numpy(ids), torch.from_numpy(targets), torch.from_numpy(weights), count)
