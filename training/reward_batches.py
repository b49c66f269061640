"""Batches of labelled solutions: four rows of one question side by side, in the same order in every run of a seed."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.batches import BUCKETS
from training.order import Order
from training.reward_data import GROUP, Labelled

TOKEN_WEIGHT = 0.25  # of a token within a line; the end of a line weighs 1


@dataclass(frozen=True, slots=True)
class RewardBatch:
    """Groups of four rows, all [rows, bucket] but the last three.

    Attributes:
        ids: tokens, padded with zeros.
        labels: whether all is right up to and with the token.
        weights: of each label; 0 on the question and the padding.
        last: the place of each row's last token, [rows].
        right: whether the row is right as a whole, [rows].
        token_count: tokens that are not padding.
    """

    ids: Tensor
    labels: Tensor
    weights: Tensor
    last: Tensor
    right: Tensor
    token_count: int

    @property
    def real(self) -> Tensor:
        """Which tokens are not padding, [rows, bucket]."""
        return torch.arange(self.ids.shape[1]) <= self.last[:, None]


class RewardBatches:
    """All batches of a section in a seeded order; `batch(i)` wraps around in a new order each time."""

    def __init__(self, section: Labelled, *, newline: int, tokens_per_batch: int, world: int, seed: int) -> None:
        self._section, self._newline = section, newline
        sizes = {bucket: group_count(tokens_per_batch, bucket) for bucket in BUCKETS}
        lengths = np.diff(section.starts).reshape(-1, GROUP).max(axis=1)
        places = np.searchsorted(np.asarray(BUCKETS), lengths)
        self.members = {bucket: np.flatnonzero(places == place) for place, bucket in enumerate(BUCKETS)}
        self._order = Order(self.members, sizes, world=world, seed=seed)
        self.count = self._order.count

    def batch(self, index: int, rank: int) -> RewardBatch:
        """The part of batch `index` that belongs to process `rank`."""
        return self._filled(*self._order.drawn(index, rank))

    def _filled(self, bucket: int, members: NDArray[np.int64]) -> RewardBatch:
        rows = (members[:, None] * GROUP + np.arange(GROUP)).ravel()
        ids = np.zeros((len(rows), bucket), dtype=np.int64)
        labels, weights = np.zeros(ids.shape, dtype=np.float32), np.zeros(ids.shape, dtype=np.float32)
        last, right = np.zeros(len(rows), dtype=np.int64), np.zeros(len(rows), dtype=np.float32)
        for place, row in enumerate(rows):
            start, end = self._section.starts[row : row + 2]
            document = self._section.tokens[start:end].astype(np.int64)
            length, prompt = len(document), int(self._section.prompts[row])
            wrong_from = int(self._section.wrong_from[row])
            ids[place, :length] = document
            labels[place, :wrong_from] = 1.0
            weights[place, prompt:length] = np.where(document[prompt:] == self._newline, 1.0, TOKEN_WEIGHT)
            weights[place, length - 2 : length] = 1.0  # the last digit of the answer, and the end
            last[place], right[place] = length - 1, float(wrong_from >= length)
        tensors = map(torch.from_numpy, (ids, labels, weights, last, right))
        return RewardBatch(*tensors, token_count=int(last.sum()) + len(rows))


def group_count(tokens_per_batch: int, bucket: int) -> int:
    """How many groups of a bucket fill a batch of one process."""
    return max(1, round(tokens_per_batch / (bucket * GROUP)))
