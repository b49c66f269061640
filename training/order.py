"""The order in which batches of a few static lengths are drawn, the same for every process and every run of a seed.

It knows which members are of which bucket, not what they are.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray


class Order:
    """All batches of a section in a seeded order, in a new one each time that they are through."""

    def __init__(
        self, members: Mapping[int, NDArray[np.int64]], sizes: Mapping[int, int], *, world: int, seed: int
    ) -> None:
        """`sizes` are the members of a batch of each bucket in one of `world` processes."""
        self._members, self._sizes, self._world, self._seed = members, sizes, world, seed
        self._epoch = -1
        self._order: list[tuple[int, NDArray[np.int64]]] = []
        self.count = sum(len(members[bucket]) // (size * world) for bucket, size in sizes.items())

    def drawn(self, index: int, rank: int) -> tuple[int, NDArray[np.int64]]:
        """The bucket of batch `index`, and those of its members that belong to process `rank`."""
        epoch, place = divmod(index, self.count)
        if epoch != self._epoch:
            self._order, self._epoch = self._shuffled(epoch), epoch
        bucket, members = self._order[place]
        return bucket, members[rank :: self._world]

    def _shuffled(self, epoch: int) -> list[tuple[int, NDArray[np.int64]]]:
        rng = np.random.default_rng([self._seed, epoch])
        order: list[tuple[int, NDArray[np.int64]]] = []
        for bucket, members in self._members.items():
            size = self._sizes[bucket] * self._world
            mixed = rng.permutation(members)
            order.extend((bucket, mixed[at : at + size]) for at in range(0, len(mixed) - size + 1, size))
        return [order[place] for place in rng.permutation(len(order))]
