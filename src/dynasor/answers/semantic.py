"""Which answers say the same, by how near their embeddings are: for code and open-ended answers (paper 3.1).

It knows vectors and no model: what gives a text its vector is handed in.
"""

from collections.abc import Callable, Sequence
from math import hypot
from operator import mul

from dynasor.answers.equivalence import normal_form
from dynasor.answers.grouping import ByEquality, Placement
from dynasor.answers.rational import rational
from dynasor.errors import UsageError

Vector = Sequence[float]
Embed = Callable[[str], Vector]
"""text -> its embedding, of any length but zero; all of one program's have as many dimensions."""

DEFAULT_THRESHOLD = 0.85


class BySimilarity:
    """Answers are the same where the cosine of their embeddings reaches a threshold, closed under transitivity.

    An answer is held against every answer that was placed before, and not against the middle of a group, which would
    depend on who came first; so the groups are order-free, as a ballot is. Numbers and single characters are never
    near each other: 12 and 13 have almost the same embedding, and are different answers.
    """

    def __init__(self, embed: Embed, threshold: float = DEFAULT_THRESHOLD) -> None:
        """Nothing is embedded before there are two answers to compare.

        Raises:
            UsageError: the threshold is not in (0, 1].
        """
        if not 0.0 < threshold <= 1.0:
            raise UsageError(f"the similarity threshold is {threshold:g}; it must be above 0, and at most 1")
        self._embed = embed
        self._threshold = threshold
        self._directions: dict[str, Vector] = {}
        self._groups = ByEquality(self._near)

    def place(self, answer: str) -> Placement:
        """Find the group of an answer; one that is near two groups joins them."""
        return self._groups.place(answer)

    def _near(self, a: str, b: str) -> bool:
        if _is_exact(a) or _is_exact(b):
            return False
        cosine: float = sum(map(mul, self._direction(a), self._direction(b)))
        return cosine >= self._threshold

    def _direction(self, text: str) -> Vector:
        """The embedding at length one; one that is zero stays so, and is near nothing."""
        if text not in self._directions:
            vector = self._embed(text)
            length = hypot(*vector) or 1.0
            self._directions[text] = tuple(part / length for part in vector)
        return self._directions[text]


def _is_exact(answer: str) -> bool:
    form = normal_form(answer)
    return len(form) < 2 or rational(form) is not None
