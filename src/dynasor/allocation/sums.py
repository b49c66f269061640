"""Sums of what stands before a place in a row of whole numbers that change: a Fenwick tree."""


class PrefixSums:
    """A row of whole numbers, all zero at first; both operations take O(log n)."""

    def __init__(self, length: int) -> None:
        self._sums = [0] * (length + 1)

    def add(self, place: int, amount: int) -> None:
        """Add to the number at a place, counted from 0."""
        place += 1
        while place < len(self._sums):
            self._sums[place] += amount
            place += place & -place

    def below(self, place: int) -> int:
        """The sum of the numbers at the places before this one."""
        total = 0
        while place:
            total += self._sums[place]
            place -= place & -place
        return total
