"""Learn, then test: the policy that saves most among those whose loss is shown to be tolerable (arXiv 2110.01052).

The problems are divided. On the first part curves are fitted and all candidates tried, and those that nothing beats in
both saving and risk are put in a row, the safest first (Pareto testing, arXiv 2210.07913). On the second part they are
tested in that order until one fails: a fixed sequence needs no correction for how many there are. So no candidate is
judged by problems that it was fitted to or chosen by, and the promise holds for whichever is taken of those that
passed. It assumes that the problems of later runs are drawn as these were, and that grants are spent in the same way:
in flight short branches land first, and readings differ.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from random import Random
from typing import TypeVar

from dynasor.calibration.candidates import DECIDED, EVEN, fitted, fixed
from dynasor.calibration.guarantee import Promise, p_value, problems_needed, upper_bound
from dynasor.calibration.outcomes import Candidate, Measured, Outcomes
from dynasor.calibration.profile import ProblemProfile
from dynasor.errors import UsageError
from dynasor.metrics.intervals import Estimate

FITTING_SHARE = 0.25
LONGEST_ROW = 12
FEWEST_PROBLEMS = 8

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Trial:
    """A candidate on the testing problems.

    Attributes:
        loss: the mean loss of accuracy against even, a share of 1.
        bound: what it does not exceed, with the confidence of the promise, taken by itself.
        p: the p-value for its exceeding the tolerance.
        passed: whether it and all before it in the row passed.
    """

    candidate: Candidate
    saving: Estimate
    loss: float
    bound: float
    p: float
    passed: bool


@dataclass(frozen=True, slots=True)
class Calibration:
    """What came of it.

    Attributes:
        trials: in the order of testing; first `decided`, or `even` without a majority, which needs no test.
        chosen: of those that passed the one that saves most.
        fitted_count, tested_count: problems of the two parts.
        needed_count: how many problems in all would have done to promise something that saves more than `decided`, if
            they are as these are; None where this number does, or where none would.
    """

    promise: Promise
    trials: tuple[Trial, ...]
    chosen: Trial
    fitted_count: int
    tested_count: int
    needed_count: int | None

    @property
    def promised_more(self) -> bool:
        """Whether anything passed that had to be tested."""
        return self.chosen is not self.trials[0]


def calibrated(
    profiles: Sequence[ProblemProfile], promise: Promise, *, seed: int = 0, by_majority: bool = True
) -> Calibration:
    """Choose a policy on labelled profiles of independent problems, all of one cap.

    Args:
        profiles: one for each problem.
        promise: what is to hold.
        seed: divides the problems.
        by_majority: whether the programs answer by majority, so that a decided vote loses nothing.

    Raises:
        UsageError: where they are too few to be divided, or tell no tokens.
    """
    if len(profiles) < FEWEST_PROBLEMS:
        raise UsageError(f"{len(profiles)} problems are too few to calibrate on; give {FEWEST_PROBLEMS} at least")
    return chosen(prepared(Outcomes(profiles), range(len(profiles)), seed, by_majority=by_majority), promise)


@dataclass(frozen=True, slots=True)
class Prepared:
    """Problems divided, with all candidates tried on those to fit; any promise can be tested on the others.

    Attributes:
        base: what loses nothing.
        fitting, testing: places of the problems; none is in both.
        tried: on the fitting problems.
    """

    outcomes: Outcomes
    base: Candidate
    fitting: Sequence[int]
    testing: Sequence[int]
    tried: Sequence[Measured]


def prepared(outcomes: Outcomes, places: Sequence[int], seed: int, *, by_majority: bool = True) -> Prepared:
    """Divide the problems at these places, and fit and try all candidates on the first part.

    Raises:
        UsageError: where they tell no tokens.
    """
    fitting, testing = divided(places, FITTING_SHARE, seed)
    profiles = outcomes.profiles
    if not all(any(path.spent[-1] for n in part for path in profiles[n].paths) for part in (fitting, testing)):
        raise UsageError("the recording tells no tokens, so there is nothing to save; record with a server that counts")
    base = DECIDED if by_majority else EVEN
    own = [profiles[n] for n in fitting]
    candidates = [*(fixed(own[0].paths[0].cap) if by_majority else []), *fitted(own, base)]
    return Prepared(outcomes, base, fitting, testing, [outcomes.measured(each, fitting) for each in candidates])


def chosen(given: Prepared, promise: Promise) -> Calibration:
    """Test the candidates that nothing beat, the safest first, and choose among those that pass."""
    row = [each.candidate for each in frontier(given.tried, promise)]
    tested = [given.outcomes.measured(candidate, given.testing) for candidate in row]
    trials = [_proved(given.outcomes.measured(given.base, given.testing)), *_tested(tested, promise)]
    best = max((trial for trial in trials if trial.passed), key=lambda trial: trial.saving.value)
    needed = None if best is not trials[0] or not tested else _needed(tested[0], promise)
    return Calibration(promise, tuple(trials), best, len(given.fitting), len(given.testing), needed)


def divided(items: Sequence[Item], share: float, seed: int) -> tuple[list[Item], list[Item]]:
    """Two parts without an item in common, the first with this share of them; drawn by the seed."""
    order = list(items)
    Random(f"calibration/{seed}").shuffle(order)
    count = round(share * len(order))
    return order[:count], order[count:]


def frontier(tried: Sequence[Measured], promise: Promise) -> list[Measured]:
    """The safest first, each of the others with more saving than all before it; none that loses too much here."""
    tolerable = [each for each in tried if each.loss <= promise.tolerance]
    ranked = sorted(tolerable, key=lambda each: (p_value(each.losses, promise.tolerance), -each.saved))
    kept: list[Measured] = []
    for each in ranked:
        if not kept or each.saved > kept[-1].saved:
            kept.append(each)
    return kept[:LONGEST_ROW]


def _tested(row: Sequence[Measured], promise: Promise) -> list[Trial]:
    trials: list[Trial] = []
    passing = True
    for each in row:
        p = p_value(each.losses, promise.tolerance)
        passing = passing and p <= promise.level
        bound = upper_bound(each.losses, promise.confidence)
        trials.append(Trial(each.candidate, each.saving, each.loss, bound, p, passing))
    return trials


def _proved(decided: Measured) -> Trial:
    """The vote is decided, or nothing is stopped: no test is needed, and no problem."""
    return Trial(decided.candidate, decided.saving, 0.0, 0.0, 0.0, passed=True)


def in_all(tested_count: int) -> int:
    """How many problems a calibration takes to test with so many."""
    return ceil(tested_count / (1 - FITTING_SHARE))


def _needed(safest: Measured, promise: Promise) -> int | None:
    needed = problems_needed(safest.losses, promise)
    return None if needed is None else in_all(needed)
