"""More ways for a story to begin: several days, ages, journeys, sharing and webs of relations.

Like training/openings.py, it does not know what is added after an opening.
"""

from itertools import pairwise

from training.openings import (
    Opening,
    holdings,
    hourly_work,
    percent,
    production,
    rows,
    shop_change,
    two_kinds_of_rows,
    two_people,
)
from training.story import DeadEndError, Holder, Story

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def several_days(story: Story) -> None:
    """Amounts of three days, two of them relative, and their total (4 steps)."""
    who, item, first = story.person(), story.thing(), story.operand()
    start = story.rng.randint(0, 4)
    one, two, three = _DAYS[start : start + 3]
    verb = story.rng.choice(("sells", "makes", "counts", "collects"))
    more, times = story.operand(), story.factor(first, 5)
    story.tell(f"On {one} {who.name} {verb} {first} {item}.", f"{who.name} {verb} {first} {item} on {one}.")
    story.tell(f"On {two} {who.he} {verb} {more} more than on {one}.", f"{two} brings {more} more than {one}.")
    story.tell(f"On {three} {who.he} {verb} {times} times as many as on {one}.",
               f"On {three} it is {times} times as many as on {one}.")  # fmt: skip
    second = story.step(f"On {two} {who.he} {verb}", f"{first}+{more}", first + more, item)
    third = story.step(f"On {three} {who.he} {verb}", f"{first}*{times}", first * times, item)
    both = story.step("The first two days bring", f"{first}+{second}", first + second, item)
    story.settle(who, item, story.step("All three days bring", f"{both}+{third}", both + third, item))
    story.question = f"How many {item} is that in all?"


def ages(story: Story) -> None:
    """One is older than another; an age in some years (2 steps)."""
    one, two, age = story.person(), story.person(), story.operand(least=4)
    gap, years = story.operand(), story.operand()
    story.tell(f"{one.name} is {age} years old.", f"{one.name} turned {age} this year.")
    if story.rng.random() < 0.5 or age - gap < 2:
        story.tell(
            f"{two.name} is {gap} years older than {one.name}.", f"{one.name} is {gap} years younger than {two.name}."
        )
        now = story.step(f"{two.name} is", f"{age}+{gap}", age + gap, "years old")
    else:
        story.tell(
            f"{two.name} is {gap} years younger than {one.name}.", f"{one.name} is {gap} years older than {two.name}."
        )
        now = story.step(f"{two.name} is", f"{age}-{gap}", age - gap, "years old")
    then = story.step(f"{two.name} will be", f"{now}+{years}", now + years, "years old")
    story.close(f"How old will {two.name} be in {years} years?", then)


def journey(story: Story) -> None:
    """A way in two parts of constant speed (3 steps)."""
    who, fast, slow = story.person(), story.operand(), story.operand()
    long, short = story.factor(fast), story.factor(slow)
    how, then = story.rng.choice((("rides", "walks"), ("drives", "cycles"), ("sails", "rows")))
    story.tell(f"{who.name} {how} for {long} hours at {fast} miles an hour, and then {then} for {short} hours at {slow} miles an hour.",
               f"First {who.name} {how} {fast} miles an hour for {long} hours. Then {who.he} {then} {slow} miles an hour for {short} hours.")  # fmt: skip
    one = story.step(f"{who.name} {how}", f"{fast}*{long}", fast * long, "miles")
    two = story.step(f"{who.name} {then}", f"{slow}*{short}", slow * short, "miles")
    story.close("How many miles is the whole way?", story.step("The whole way is", f"{one}+{two}", one + two, "miles"))


def sharing(story: Story) -> None:
    """Things shared equally (1 step)."""
    item, each = story.thing(), story.operand()
    count = story.factor(each)
    whole, who = count * each, story.person()
    story.tell(f"{who.name} and {who.his} friends are {count} people and share {whole} {item} equally.",
               f"{whole} {item} are shared equally among {count} children, and {who.name} is one of them.",
               f"{who.name} puts {whole} {item} into {count} equal piles and keeps one pile.")  # fmt: skip
    story.settle(who, item, story.step(f"{who.name} has", f"{whole}/{count}", each, item))


def reading(story: Story) -> None:
    """A book read at a steady pace; what is left (2 steps)."""
    who, each = story.person(), story.operand()
    days = story.factor(each)
    left = story.operand()
    pages = story.checked(each * days + left)
    story.tell(f"{who.name}'s book has {pages} pages. {who.he.capitalize()} reads {each} pages a day for {days} days.",
               f"{who.name} reads {each} pages every day from a book of {pages} pages, for {days} days.")  # fmt: skip
    done = story.step(f"{who.name} reads", f"{each}*{days}", each * days, "pages")
    story.step(f"{who.name} has", f"{pages}-{done}", left, "pages left")
    story.close(f"How many pages does {who.name} still have to read?", left)


def relations(story: Story) -> None:
    """A web of people who are told relative to each other, in shuffled order, with unused branches (2 to 4 steps)."""
    item, length = story.thing(), story.rng.randint(2, 4)
    people = [story.person() for _ in range(length + 1)]
    values = [story.operand()]
    told = [f"{people[0].name} has {values[0]} {item}."]
    for one, two in pairwise(people):
        sentence, value = _relate(story, one, two, values[-1], item)
        told.append(sentence)
        values.append(value)
    if story.rng.random() < 0.5:  # a branch that nobody asks about
        told.append(f"{story.person().name} has {story.operand()} more {item} than {story.rng.choice(people).name}.")
    story.rng.shuffle(told)
    story.sentences.extend(told)
    story.settle(people[-1], item, values[-1])


def _relate(story: Story, one: Holder, two: Holder, value: int, item: str) -> tuple[str, int]:
    """A sentence and a step that give `two` an amount relative to the `value` of `one`."""
    kind = story.rng.randrange(4)
    if kind == 0:
        other = story.operand()
        words, equation, now = f"{other} more {item} than", f"{value}+{other}", value + other
    elif kind == 1:
        other = story.operand(value - 2)
        words, equation, now = f"{other} fewer {item} than", f"{value}-{other}", value - other
    elif kind == 2:
        other = story.factor(value, 5)
        words, equation, now = f"{other} times as many {item} as", f"{value}*{other}", value * other
    elif value % 2:
        raise DeadEndError
    else:
        words, equation, now = f"half as many {item} as", f"{value}/2", value // 2
    return f"{two.name} has {words} {one.name}.", story.step(f"{two.name} has", equation, now, item)


# With the fewest and the most steps that an opening takes by itself.
OPENINGS: tuple[tuple[Opening, int, int], ...] = (
    (holdings, 1, 1), (rows, 1, 1), (sharing, 1, 1), (hourly_work, 1, 2), (two_people, 2, 2), (shop_change, 2, 2),
    (production, 2, 2), (percent, 2, 2), (ages, 2, 2), (reading, 2, 2), (two_kinds_of_rows, 3, 3), (journey, 3, 3),
    (relations, 2, 4), (several_days, 4, 4),
)  # fmt: skip
