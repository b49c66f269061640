"""What can happen next in a story: each event adds a sentence and one or two steps to the quantity at hand.

An event knows the holder, the item and the value that it finds; it does not know how the story began.
"""

from collections.abc import Callable

from training.story import PEOPLE, DeadEndError, Story

Event = Callable[[Story], None]
_BOXES = ("boxes", "bags", "baskets", "packs", "crates")


def _change(story: Story, equation: str, value: int) -> None:
    """The holder's quantity becomes `value`."""
    story.settle(story.holder, story.item, story.step(f"{story.holder.start} has", equation, value, story.item))


def gain(story: Story) -> None:
    """Some more come."""
    who, more = story.holder, story.operand()
    story.tell(f"Then {who.name} gets {more} more {story.item}.", f"After that, {more} more {story.item} come to {who.name}.",
               f"Later {who.name} receives {more} {story.item}.")  # fmt: skip
    _change(story, f"{story.value}+{more}", story.value + more)


def lose(story: Story) -> None:
    """Some go."""
    who, fewer = story.holder, story.operand(story.value - 2)
    story.tell(f"Then {who.name} gives away {fewer} {story.item}.", f"Later {who.name} loses {fewer} {story.item}.",
               f"After that, {fewer} of the {story.item} of {who.name} are gone.")  # fmt: skip
    _change(story, f"{story.value}-{fewer}", story.value - fewer)


def multiply(story: Story) -> None:
    """Another holder has a multiple."""
    _need_things(story)
    before, times = story.holder, story.factor(story.value, 6)
    who = story.person()
    story.tell(f"{who.name} has {times} times as many {story.item} as {before.name}.",
               f"Now {who.name} has {times} times the {story.item} of {before.name}.")  # fmt: skip
    story.holder = who
    _change(story, f"{story.value}*{times}", story.value * times)


def compare(story: Story) -> None:
    """Another holder has more or fewer."""
    _need_things(story)
    before, who = story.holder, story.person()
    if story.rng.random() < 0.5:
        other = story.operand()
        story.tell(
            f"{who.name} has {other} more {story.item} than {before.name} now.",
            f"Now {who.name} has {other} {story.item} more than {before.name}.",
        )
        equation, value = f"{story.value}+{other}", story.value + other
    else:
        other = story.operand(story.value - 2)
        story.tell(
            f"{who.name} has {other} fewer {story.item} than {before.name} now.",
            f"{before.start} now has {other} more {story.item} than {who.name}.",
        )
        equation, value = f"{story.value}-{other}", story.value - other
    story.holder = who
    _change(story, equation, value)


def halve(story: Story) -> None:
    """Half of them go."""
    if story.value % 2:
        raise DeadEndError
    who = story.holder
    story.tell(f"Then {who.name} gives away half of the {story.item}.", f"Half of the {story.item} of {who.name} get lost.",
               f"{who.start} keeps only half of the {story.item}.")  # fmt: skip
    _change(story, f"{story.value}/2", story.value // 2)


def sell(story: Story) -> None:
    """All are sold at a price each."""
    _need_goods(story)
    price = story.factor(story.value)
    who = story.holder
    story.tell(
        f"{who.start} sells all the {story.item} for {price} dollars each.",
        f"All the {story.item} are then sold at {price} dollars each.",
    )
    total = story.step(f"{who.start} gets", f"{story.value}*{price}", story.value * price, "dollars")
    story.settle(who, "dollars", total)


def pack(story: Story) -> None:
    """All are packed into equal containers."""
    _need_goods(story)
    if story.item in _BOXES:
        raise DeadEndError
    box = story.rng.choice(_BOXES)
    size = _divisor(story)
    who = story.holder
    story.tell(
        f"{who.start} packs all the {story.item} into {box} of {size}.",
        f"The {story.item} are put into {box}, {size} in each.",
    )
    story.settle(who, box, story.step(f"{who.start} has", f"{story.value}/{size}", story.value // size, box))


def pool(story: Story) -> None:
    """Somebody else's are added."""
    _need_things(story)
    who, other, theirs = story.holder, story.person(), story.operand()
    story.tell(f"{other.name} has {theirs} {story.item} and gives all of them to {who.name}.",
               f"{other.name} brings {theirs} {story.item} of {other.his} own to {who.name}.")  # fmt: skip
    _change(story, f"{story.value}+{theirs}", story.value + theirs)


def spend(story: Story) -> None:
    """Several things are bought with part of the money (2 steps)."""
    _need_money(story)
    who, item, price = story.holder, story.thing(), story.operand(story.value // 2 - 1)
    count = story.operand(min(12, (story.value - 2) // price))
    story.tell(
        f"{who.start} buys {count} {item} for {price} dollars each.",
        f"{who.start} spends money on {count} {item} at {price} dollars each.",
    )
    cost = story.step(f"The {item} cost", f"{count}*{price}", count * price, "dollars")
    story.settle(who, "dollars", story.step(f"{who.start} has", f"{story.value}-{cost}", story.value - cost, "dollars"))


def earn(story: Story) -> None:
    """Work for some hours adds money (2 steps)."""
    _need_money(story)
    who, pay = story.holder, story.operand()
    hours = story.factor(pay)
    story.tell(
        f"Then {who.name} earns {pay} dollars an hour for {hours} hours.",
        f"{hours} hours of work bring {who.name} {pay} dollars an hour.",
    )
    wage = story.step(f"{who.start} earns", f"{pay}*{hours}", pay * hours, "dollars")
    story.settle(who, "dollars", story.step(f"{who.start} has", f"{story.value}+{wage}", story.value + wage, "dollars"))


def buy_with_all(story: Story) -> None:
    """All the money is spent on one kind of thing."""
    _need_money(story)
    who, price, item = story.holder, _divisor(story), story.thing()
    story.tell(
        f"With all the money {who.name} buys {item} for {price} dollars each.",
        f"{who.start} spends all of it on {item} that cost {price} dollars each.",
    )
    story.settle(who, item, story.step(f"{who.start} gets", f"{story.value}/{price}", story.value // price, item))


def weeks(story: Story) -> None:
    """The same comes every week."""
    _need_things(story)
    who = story.holder
    count = story.factor(story.value, 8)
    unit = story.rng.choice(("weeks", "months", "days"))
    story.tell(f"After {count} {unit} like this, {who.name} has {count} times as many {story.item}.",
               f"This happens again and again, and in {count} {unit} {who.name} has {count} times the {story.item}.")  # fmt: skip
    _change(story, f"{story.value}*{count}", story.value * count)


def percent_away(story: Story) -> None:
    """A share in percent goes (2 steps)."""
    shares = [share for share in (10, 20, 25, 30, 40, 50, 60, 75) if story.value * share % 100 == 0]
    if not shares:
        raise DeadEndError
    share, who = story.rng.choice(shares), story.holder
    story.tell(
        f"{who.start} gives away {share}% of the {story.item}.",
        f"Then {share}% of the {story.item} of {who.name} are lost.",
    )
    part = story.step("That is", f"{story.value}*{share}/100", story.value * share // 100, story.item)
    _change(story, f"{story.value}-{part}", story.value - part)


def _need_goods(story: Story) -> None:
    if story.item == "dollars" or story.item in PEOPLE:
        raise DeadEndError


def _need_things(story: Story) -> None:
    if story.item in PEOPLE:
        raise DeadEndError


def _need_money(story: Story) -> None:
    if story.item != "dollars":
        raise DeadEndError


def _divisor(story: Story) -> int:
    """A number of at least 2 that divides the value and leaves at least 2."""
    divisors = [size for size in range(2, min(12, story.value // 2) + 1) if story.value % size == 0]
    if not divisors:
        raise DeadEndError
    return story.rng.choice(divisors)


ONE_STEP: tuple[Event, ...] = (gain, lose, multiply, compare, compare, halve, sell, pack, pool, buy_with_all, weeks)
TWO_STEPS: tuple[Event, ...] = (spend, earn, percent_away)
