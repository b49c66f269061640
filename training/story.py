"""A story in the making: sentences, solution steps and the one quantity that the story is about.

It knows words, people and number limits; it does not know which stories or events there are.
"""

import random
from dataclasses import dataclass, field

OPERAND_LIMITS = (9, 30, 99)
RESULT_LIMITS = (60, 300, 999)

_BOYS = (
    "Ben",
    "Tom",
    "Sam",
    "Leo",
    "Max",
    "Omar",
    "Ivan",
    "Hugo",
    "Noah",
    "Raj",
    "Paul",
    "Eric",
    "Juan",
    "Finn",
    "Adam",
)
_GIRLS = (
    "Mia",
    "Ana",
    "Eva",
    "Lily",
    "Sara",
    "Nina",
    "Zoe",
    "Ruth",
    "Ella",
    "Maya",
    "Rosa",
    "Kate",
    "Yuki",
    "Jane",
    "Ada",
)
THINGS = (
    "apples", "pears", "books", "pens", "stickers", "marbles", "coins", "cards", "shells", "stamps", "beads", "cookies",
    "balloons", "toys", "eggs", "buttons", "candies", "pencils", "muffins", "oranges", "stones", "ribbons", "photos",
)  # fmt: skip


PEOPLE = ("students", "members", "guests")  # who can come and go, but not be sold or handed on


class DeadEndError(Exception):
    """The numbers at hand do not allow this story or event; the caller tries another."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has the quantity: a person or a place, with the words that stand for it."""

    name: str
    he: str = "it"
    his: str = "its"
    him: str = "it"

    @property
    def start(self) -> str:
        """The name at the start of a sentence."""
        return self.name[0].upper() + self.name[1:]


@dataclass(slots=True)
class Story:
    """What is told so far. `value` is how many `item` the `holder` has."""

    rng: random.Random
    tier: int
    sentences: list[str] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    holder: Holder = field(default_factory=lambda: Holder("nobody"))
    item: str = ""
    value: int = 0
    question: str = ""
    closed: bool = False

    def person(self) -> Holder:
        """A person whom the story has not met yet."""
        while True:
            boy = self.rng.random() < 0.5
            name = self.rng.choice(_BOYS if boy else _GIRLS)
            if name not in self.used:
                self.used.add(name)
                return Holder(name, "he", "his", "him") if boy else Holder(name, "she", "her", "her")

    def thing(self) -> str:
        """A kind of thing that the story has not met yet."""
        while True:
            thing = self.rng.choice(THINGS)
            if thing not in self.used:
                self.used.add(thing)
                return thing

    def operand(self, most: int | None = None, least: int = 2) -> int:
        """A number from `least` to the tier's operand limit, or to `most` where that is smaller."""
        limit = OPERAND_LIMITS[self.tier]
        top = limit if most is None else min(limit, most)
        if top < least:
            raise DeadEndError
        return self.rng.randint(least, top)

    def factor(self, value: int, most: int = 12) -> int:
        """A number by which `value` can be multiplied within the tier's result limit."""
        return self.operand(min(most, RESULT_LIMITS[self.tier] // value))

    def checked(self, value: int) -> int:
        """`value`, if it lies within the tier's limits."""
        if not 2 <= value <= RESULT_LIMITS[self.tier]:
            raise DeadEndError
        return value

    def tell(self, *variants: str) -> None:
        """Adds one of the sentences to the question."""
        self.sentences.append(self.rng.choice(variants))

    def step(self, before: str, equation: str, value: int, after: str) -> int:
        """Adds the line `before equation=value after` to the solution; the value must keep the limits."""
        self.steps.append(f"{before} {equation}={self.checked(value)} {after}")
        return value

    def settle(self, holder: Holder, item: str, value: int) -> None:
        """Says what the story is about from here on."""
        self.holder, self.item, self.value, self.question = holder, item, value, ""

    def close(self, question: str, value: int) -> None:
        """Ends the story with a question of its own: nothing can be added to an age or a journey."""
        self.question, self.value, self.closed = question, value, True
