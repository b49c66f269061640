"""How stories begin: each opening tells a situation and leaves one holder with one quantity.

An opening knows its own wording and arithmetic; it does not know what is added after it.
"""

from collections.abc import Callable

from training.story import Holder, Story

Opening = Callable[[Story], None]


def holdings(story: Story) -> None:
    """Somebody has some and gets more, or loses some (1 step)."""
    who, item, first = story.person(), story.thing(), story.operand(least=4)
    story.tell(f"{who.name} has {first} {item}.", f"{who.name} starts the day with {first} {item}.",
               f"There are {first} {item} in {who.name}'s bag.")  # fmt: skip
    if story.rng.random() < 0.5:
        more = story.operand()
        story.tell(f"{who.his.capitalize()} friend gives {who.him} {more} more.",
                   f"Then {who.he} finds {more} more {item}.", f"{who.he.capitalize()} gets another {more} {item}.")  # fmt: skip
        total = story.step(f"{who.name} has", f"{first}+{more}", first + more, item)
    else:
        fewer = story.operand(first - 2)
        story.tell(
            f"{who.he.capitalize()} gives {fewer} of them away.", f"{who.he.capitalize()} loses {fewer} of them."
        )
        total = story.step(f"{who.name} has", f"{first}-{fewer}", first - fewer, item)
    story.settle(who, item, total)


def two_people(story: Story) -> None:
    """One has some, another has more or a multiple; how many together (2 steps)."""
    one, two, item, first = story.person(), story.person(), story.thing(), story.operand()
    story.tell(f"{one.name} has {first} {item}.", f"{one.name} collected {first} {item}.")
    if story.rng.random() < 0.5:
        more = story.operand()
        story.tell(f"{two.name} has {more} more {item} than {one.name}.", f"{two.name} has {more} more than that.")
        second = story.step(f"{two.name} has", f"{first}+{more}", first + more, item)
    else:
        times = story.factor(first, 5)
        story.tell(
            f"{two.name} has {times} times as many {item} as {one.name}.", f"{two.name} has {times} times as many."
        )
        second = story.step(f"{two.name} has", f"{first}*{times}", first * times, item)
    place = Holder(story.rng.choice(("the box", "the basket", "the class", "the club")))
    story.tell(f"They put all their {item} together for {place.name}.", f"All of their {item} go to {place.name}.")
    total = story.step("Together they have", f"{first}+{second}", first + second, item)
    story.settle(place, item, total)


_PLACES = (
    ("the garden", "rows", "tulips"), ("the hall", "rows", "chairs"), ("the shop", "shelves", "jars"),
    ("the library", "shelves", "books"), ("the farm", "pens", "goats"), ("the orchard", "rows", "trees"),
    ("the school", "rooms", "desks"), ("the bakery", "trays", "rolls"), ("the museum", "walls", "pictures"),
)  # fmt: skip


def rows(story: Story) -> None:
    """Groups of equal size (1 step)."""
    name, group, item = story.rng.choice(_PLACES)
    place, each = Holder(name), story.operand()
    count = story.factor(each, 30)
    story.tell(f"{place.start} has {count} {group} with {each} {item} each.",
               f"There are {count} {group} in {name}, and each has {each} {item}.")  # fmt: skip
    story.settle(place, item, story.step(f"{place.start} has", f"{count}*{each}", count * each, item))


def two_kinds_of_rows(story: Story) -> None:
    """Two sorts of groups, counted together (3 steps)."""
    name, group, item = story.rng.choice(_PLACES)
    place, each, other = Holder(name), story.operand(), story.operand()
    count, more = story.factor(each), story.factor(other)
    story.tell(f"{place.start} has {count} large {group} with {each} {item} each and {more} small {group} with {other} {item} each.",
               f"In {name} there are {count} large {group} of {each} {item} and {more} small {group} of {other} {item}.")  # fmt: skip
    large = story.step(f"The large {group} have", f"{count}*{each}", count * each, item)
    small = story.step(f"The small {group} have", f"{more}*{other}", more * other, item)
    story.settle(place, item, story.step(f"{place.start} has", f"{large}+{small}", large + small, item))


_JOBS = ("cuts grass", "walks dogs", "washes cars", "paints fences", "sells tickets", "teaches music", "repairs bikes")


def hourly_work(story: Story) -> None:
    """Pay by the hour (1 step) and perhaps a tip (2 steps)."""
    who, pay = story.person(), story.operand()
    hours, job = story.factor(pay), story.rng.choice(_JOBS)
    story.tell(f"{who.name} {job} and earns {pay} dollars an hour. {who.he.capitalize()} works {hours} hours.",
               f"{who.name} {job} for {hours} hours at {pay} dollars an hour.")  # fmt: skip
    total = story.step(f"{who.name} earns", f"{pay}*{hours}", pay * hours, "dollars")
    if story.rng.random() < 0.5:
        tip = story.operand()
        story.tell(f"{who.he.capitalize()} also gets a tip of {tip} dollars.", f"A happy customer adds {tip} dollars.")
        total = story.step(f"{who.name} has", f"{total}+{tip}", total + tip, "dollars")
    story.settle(who, "dollars", total)


def shop_change(story: Story) -> None:
    """Buying several of one thing and paying with more than enough (2 steps)."""
    who, item, price = story.person(), story.thing(), story.operand()
    count = story.factor(price)
    left = story.operand()
    paid = story.checked(price * count + left)
    story.tell(f"{who.name} has {paid} dollars and buys {count} {item} for {price} dollars each.",
               f"{who.name} buys {count} {item} that cost {price} dollars each and pays with {paid} dollars.")  # fmt: skip
    cost = story.step(f"The {item} cost", f"{count}*{price}", count * price, "dollars")
    story.settle(who, "dollars", story.step(f"{who.name} keeps", f"{paid}-{cost}", left, "dollars"))


def production(story: Story) -> None:
    """A machine makes so many an hour; some are broken (2 steps)."""
    item, each = story.thing(), story.operand()
    hours = story.factor(each)
    made = each * hours
    broken = story.operand(made - 2)
    factory = Holder(story.rng.choice(("the factory", "the workshop", "the plant")))
    story.tell(f"{factory.start} makes {each} {item} an hour and works {hours} hours.",
               f"A machine at {factory.name} makes {each} {item} every hour. It runs for {hours} hours.")  # fmt: skip
    story.tell(f"{broken} of them are broken and thrown away.", f"Of these, {broken} are bad and cannot be used.")
    story.step(f"{factory.start} makes", f"{each}*{hours}", made, item)
    story.settle(factory, item, story.step(f"{factory.start} has", f"{made}-{broken}", made - broken, item))


def percent(story: Story) -> None:
    """A share in percent and the rest (2 steps)."""
    share = story.rng.choice((10, 20, 25, 30, 40, 50, 60, 75, 80))
    whole = 20 * story.rng.randint(1, max(1, (60, 300, 900)[story.tier] // 20))
    part = story.checked(whole * share // 100)
    name, item, verb = story.rng.choice((("the school", "students", "go home by bus"), ("the club", "members", "are away"),
                                         ("the ship", "guests", "go on land"), ("the farm", "sheep", "are sold")))  # fmt: skip
    place = Holder(name)
    story.tell(f"{place.start} has {whole} {item}, and {share}% of them {verb}.",
               f"There are {whole} {item} at {name}. Of them, {share}% {verb}.")  # fmt: skip
    story.step(f"Of the {item}", f"{whole}*{share}/100", part, verb)
    story.settle(place, item, story.step(f"{place.start} has", f"{whole}-{part}", whole - part, f"{item} left"))
