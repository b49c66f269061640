"""What was aimed at, whether it was reached, and where not, by how much and why. All of it follows from the rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from dynasor.bench.offline_arms import OURS_TUNED
from dynasor.bench.offline_rows import ORACLE, ArmRow, Duel, Result
from dynasor.bench.offline_workloads import SCHOOL

SAVED, AHEAD, TIMES = 0.47, 0.75, 1.5


@dataclass(frozen=True, slots=True)
class Goal:
    """One goal.

    Attributes:
        reasons: where it is missed, a sentence for each workload, or for all.
    """

    text: str
    found: str
    met: bool
    reasons: tuple[str, ...] = ()


def goals(results: Sequence[Result]) -> list[Goal]:
    """The three goals, on all workloads that have rows."""
    done = [result for result in results if not result.facts.left_out]
    return [_saving(done), _leading(done), _near_oracle(done)] if done else []


def ahead(ours: ArmRow, rule: ArmRow, duel: Duel) -> bool:
    """Whether ours takes fewer tokens than a rule without losing significantly to it or to even.

    A rule that loses significantly to even allocation is not at equal accuracy, and nobody need be ahead of it.
    """
    if rule.loses:
        return True
    return duel.tokens.value < 1 and duel.difference.high >= 0 and not ours.loses


def behind(result: Result) -> list[str]:
    """The rules that ours is not ahead of."""
    rows = result.at_largest()
    return [duel.rule for duel in result.duels if not ahead(rows[OURS_TUNED], rows[duel.rule], duel)]


def _ours(result: Result) -> ArmRow:
    return result.at_largest()[OURS_TUNED]


def _saving(results: Sequence[Result]) -> Goal:
    school = [result for result in results if result.facts.kind == SCHOOL]
    reached = [r for r in school if _ours(r).saved.value >= SAVED and not _ours(r).loses]
    missed = [result for result in school if result not in reached]
    return Goal(
        f"at least {100 * SAVED:.0f} % of the tokens saved at no significant loss, self-consistency on {SCHOOL}",
        f"{len(reached)} of {len(school)} workloads",
        bool(school) and not missed,
        tuple(map(_why_little_saved, missed)),
    )


def _why_little_saved(result: Result) -> str:
    ours, facts = _ours(result), result.facts
    best = result.at_largest()[ORACLE].saved.value
    loss = "; its loss is significant" if ours.loses else ""
    missing = f"short by {100 * (SAVED - ours.saved.value):.1f} points" if ours.saved.value < SAVED else "enough"
    return (
        f"{facts.name}: {100 * ours.saved.value:.1f} % saved, {missing}{loss}. {100 * facts.impossible:.0f} % of its"
        f" programs are wrong at the cap, whose votes agree late or never, and {100 * facts.easy:.0f} % are right for"
        f" good within five branches; the oracle saves {100 * best:.1f} %."
    )


def _leading(results: Sequence[Result]) -> Goal:
    beaten = {result.facts.name: behind(result) for result in results}
    share = sum(not rules for rules in beaten.values()) / len(beaten)
    return Goal(
        f"ahead of every neighbour's rule at equal accuracy on at least {100 * AHEAD:.0f} % of the workloads",
        f"{sum(not rules for rules in beaten.values())} of {len(beaten)} workloads ({100 * share:.0f} %)",
        share >= AHEAD,
        tuple(_why_behind(result) for result in results if beaten[result.facts.name]),
    )


def _why_behind(result: Result) -> str:
    rows, duels = result.at_largest(), {duel.rule: duel for duel in result.duels}
    ours = rows[OURS_TUNED]
    if ours.loses:
        return f"{result.facts.name}: ours loses {-100 * ours.difference.value:.2f} points, which is significant."
    told = []
    for rule in behind(result):
        duel = duels[rule]
        if duel.tokens.value >= 1:
            fewer = f"takes {100 * (1 - 1 / duel.tokens.value):.1f} % fewer tokens"
            gained = 100 * rows[rule].difference.value, 100 * ours.difference.value
            told.append(f"{rule} {fewer} at {gained[0]:+.2f} points to even (ours {gained[1]:+.2f})")
        else:
            told.append(f"{rule} is significantly more accurate")
    return f"{result.facts.name} ({result.facts.problems} problems): {'; '.join(told)}."


def _near_oracle(results: Sequence[Result]) -> Goal:
    middle = median(_ours(result).times.value for result in results)
    met = middle <= TIMES
    return Goal(
        f"at most {TIMES:g} times the oracle's tokens on the median workload",
        f"{middle:.2f} times",
        met,
        () if met else tuple(_why_beyond(results, middle)),
    )


def _why_beyond(results: Sequence[Result], middle: float) -> Iterator[str]:
    """Where the tokens beyond the oracle's go, on the median workload of each share."""
    shares = {
        name: median(result.facts.excess.get(name, 0.0) for result in results)
        for name in ("wrong at the cap", "right at once", "right later")
    }
    yield f"Missed by {middle - TIMES:.2f} times the oracle's tokens. Beyond the oracle, on the median:"
    yield (
        f"{100 * shares['wrong at the cap']:.0f} % goes to programs that are wrong at the cap. The oracle knows that"
        " they will not change, and stops; the votes of a hopeless program look like those of an undecided one."
    )
    yield (
        f"{100 * shares['right at once']:.0f} % goes to making sure of programs whose first branch is right and leads"
        " to the end. The oracle stops there after one branch; no rule that looks at votes can."
    )
    yield f"{100 * shares['right later']:.0f} % goes to all others."
    knowing = median(_without_hopeless(result) for result in results)
    yield (
        f"Knowing the hopeless alone, at the oracle's price for them, would bring the median to {knowing:.2f} times. An"
        f" oracle that had to see three branches first would take"
        f" {median(result.facts.waiting for result in results):.2f} times the oracle's tokens on the median."
    )


def _without_hopeless(result: Result) -> float:
    beyond = _ours(result).times.value - 1
    return 1 + beyond * (1 - result.facts.excess.get("wrong at the cap", 0.0))
