"""What one token budget for a whole batch is worth: accuracy at equal total tokens, on recordings.

The budget is what another way to spend took on the same problems under the same order of branches: even allocation at
a lower cap, or a policy for each program. So many programs run at a time, as in a run, and a branch takes as long as
it has tokens; what a program makes of its branches is recorded.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from pathlib import Path as File
from statistics import fmean

from dynasor.allocation.budget import Share, TokenBudget
from dynasor.allocation.progress import Policy
from dynasor.answers.grouping import ByText
from dynasor.bench.resampling import resampled_ratios
from dynasor.calibration.profile import Path, ProblemProfile, profiled
from dynasor.datasets.recordings import read_recordings
from dynasor.metrics.intervals import Estimate
from dynasor.programs.program import Setup
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.wiring import DECIDED_OR_CERTAIN, make_policy

AT_A_TIME = 64
LOWER_CAPS = (3, 5, 8, 12)
POLICIES = (DECIDED_OR_CERTAIN, "beta:confidence=0.95", "windows:window=5")
RECORDINGS = (
    ("code-davinci-002__svamp_pot", 20),
    ("gpt-4__asdiv", 12),
    ("gpt-3.5__last_letters", 20),
    ("llama-2-13b__gsm8k_pot", 20),
    ("zeroeval-43-models__gsm8k", 20),
    ("r1-distill-llama-8b__math100_v1", 20),
    ("r1-distill-llama-8b+qwq-32b__math100", 20),
    ("codegen-16b__humaneval", 20),
)


@dataclass(frozen=True, slots=True)
class Spent:
    """What a program came to: how right its answer is, in [0, 1], and its tokens."""

    right: float
    tokens: int


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """A way to spend, and a budget of the same tokens.

    Attributes:
        cap: the resource cap, of both.
        tokens: a problem's, of the other way; the budget's are `budget_tokens`, which is less where it was not spent
            and more by the branches that were in flight.
        accuracy, budget_accuracy: of the other way and of the budget.
        gained: the budget's less the other's, paired; a share of 1.
    """

    recording: str
    problems: int
    cap: int
    against: str
    tokens: float
    budget_tokens: float
    accuracy: Estimate
    budget_accuracy: Estimate
    gained: Estimate


@dataclass(frozen=True, slots=True)
class BudgetPlan:
    """What to run."""

    folder: File
    orders: int
    recordings: tuple[tuple[str, int], ...] = RECORDINGS

    def file(self, name: str) -> File:
        """Where a recording is."""
        return self.folder / f"{name}.jsonl.zst"


def run_budget(plan: BudgetPlan) -> Iterator[list[BudgetRow]]:
    """The rows of every recording."""
    return (study_recording(plan.file(name), cap, plan.orders) for name, cap in plan.recordings)


def study_recording(file: File, cap: int, orders: int) -> list[BudgetRow]:
    """All ways to spend, each beside the budget that it would have been."""
    setup = Setup(cap=cap, grouping=ByText)
    profiles = profiled(read_recordings(str(file)), SelfConsistency, setup, orders=orders)
    ways: list[tuple[str, Policy | int]] = [(f"even at {lower}", lower) for lower in LOWER_CAPS if lower < cap]
    ways += [(text, make_policy(text)[0]) for text in POLICIES]
    name = file.name.partition(".jsonl")[0]
    return [_row(name, profiles, cap, told, way) for told, way in ways]


def under_budget(paths: Sequence[Path], tokens: int) -> list[Spent]:
    """Run a batch of programs, in their order, under one budget; so many at a time."""
    budget = TokenBudget(tokens, len(paths))
    spent = [Spent(0.0, 0)] * len(paths)
    due: list[tuple[int, int, int, Share]] = []  # when its branch lands, its place, its branches by then
    waiting = iter(range(len(paths)))
    now = 0

    def go_on(place: int, knob: int, share: Share) -> bool:
        path = paths[place]
        if knob < path.end and share(path.progress[knob]):
            took = path.spent[knob + 1] - path.spent[knob]
            heappush(due, (now + took, place, knob + 1, share))
            return True
        share.leave(path.spent[knob], knob)
        spent[place] = Spent(path.right[knob], path.spent[knob])
        return False

    def admit() -> None:
        while len(due) < AT_A_TIME:
            place = next(waiting, None)
            if place is None:
                return
            go_on(place, 0, budget.join())

    admit()
    while due:
        now, place, knob, share = heappop(due)
        if not go_on(place, knob, share):
            admit()
    return spent


def _row(name: str, profiles: Sequence[ProblemProfile], cap: int, told: str, way: Policy | int) -> BudgetRow:
    others: list[list[Spent]] = []
    budgets: list[list[Spent]] = []
    for order in range(len(profiles[0].paths)):
        paths = [profile.paths[order] for profile in profiles]
        others.append([_alone(path, way) for path in paths])
        budgets.append(under_budget(paths, sum(each.tokens for each in others[-1])))
    ones = [1.0] * len(profiles)
    theirs, ours = _means(others), _means(budgets)
    difference = [own - other for own, other in zip(ours, theirs, strict=True)]
    figures = resampled_ratios({"theirs": (theirs, ones), "ours": (ours, ones), "gained": (difference, ones)})
    return BudgetRow(
        recording=name,
        problems=len(profiles),
        cap=cap,
        against=told,
        tokens=fmean(each.tokens for batch in others for each in batch),
        budget_tokens=fmean(each.tokens for batch in budgets for each in batch),
        accuracy=figures["theirs"],
        budget_accuracy=figures["ours"],
        gained=figures["gained"],
    )


def _alone(path: Path, way: Policy | int) -> Spent:
    knob = min(way, path.end) if isinstance(way, int) else path.stopped_at(way)
    return Spent(path.right[knob], path.spent[knob])


def _means(batches: Iterable[Sequence[Spent]]) -> list[float]:
    """How right a problem's answers are, over the orders."""
    return [fmean(each.right for each in problem) for problem in zip(*batches, strict=True)]
