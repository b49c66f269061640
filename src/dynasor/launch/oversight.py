"""Runs whose programs are looked over together: a token budget for all, or shadow programs that watch a promise.

What means nothing together is refused here, before anything is paid for.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from dynasor.allocation.allocator import Allocator, InFlight, InRounds
from dynasor.allocation.baselines import Even
from dynasor.allocation.budget import TokenBudget
from dynasor.allocation.progress import Policy
from dynasor.calibration.drift import Expectation
from dynasor.calibration.drift_expected import expectation
from dynasor.calibration.drift_watch import DriftWatch
from dynasor.calibration.policy_file import ENDING, read_policy_file
from dynasor.errors import UsageError
from dynasor.journal.records import Setting
from dynasor.launch.options import RunOptions
from dynasor.programs.program import Program
from dynasor.runtime.budgeted import Budgeted
from dynasor.runtime.overseer import AllocatingOverseer, Overseer, Unattended
from dynasor.wiring import answers_by_majority

BUDGET = "budget"
"""How the policy of a run with a token budget is called in its journal."""


@dataclass(frozen=True, slots=True)
class Oversight:
    """Who decides for each program of a run.

    Attributes:
        settings: what of it changes answers, for the journal.
    """

    allocator: Callable[[Program], Allocator]
    overseer: Overseer
    settings: dict[str, Setting] = field(default_factory=dict)


def check_oversight(options: RunOptions, algorithm: type[Program]) -> None:
    """Refuse what means nothing together.

    Raises:
        UsageError: naming both, and the mend.
    """
    budget, shadow = options.token_budget is not None, options.shadow is not None
    if not budget and not shadow:
        return
    option = "token-budget" if budget else "shadow"
    if budget and options.policy is not None:
        raise UsageError("--token-budget divides the tokens itself, so no --policy has a say; leave one of them out")
    if budget and shadow:
        raise UsageError("--shadow measures a policy's promise, and --token-budget follows no policy; leave one out")
    if options.in_flight:
        raise UsageError(f"--{option} waits for what it grants, and --in-flight does not; leave one of them out")
    if not answers_by_majority(algorithm):
        raise UsageError(f"--{option} judges by votes, and this algorithm does not answer by majority; use sc")
    if shadow and isinstance(options.policy, Even | str) and str(options.policy) in {"even", "Even()"}:
        raise UsageError("--shadow compares a policy with even allocation, and the policy is even; choose another")


def oversight(options: RunOptions, policy: Policy, problem_count: int) -> Oversight:
    """Who looks over a run, as its options ask.

    Raises:
        UsageError: where the budget is less than a token for each problem, or a policy file promises nothing.
    """
    if options.token_budget is not None:
        return _budgeted(options.token_budget, problem_count)
    if options.shadow is not None:
        return _watched(options, options.shadow, policy)
    allocator: Callable[[Policy], Allocator] = InFlight if options.in_flight else InRounds
    return Oversight(lambda program: allocator(policy), Unattended())


def _budgeted(tokens: int, problem_count: int) -> Oversight:
    if tokens < problem_count:
        raise UsageError(
            f"the token budget is {tokens}, which is less than a token for each of {problem_count} problems; raise it,"
            " or take fewer with --limit"
        )
    return _by(Budgeted(TokenBudget(tokens, problem_count)), {"token_budget": tokens})


def _watched(options: RunOptions, share: float, policy: Policy) -> Oversight:
    text = options.policy
    is_file = isinstance(text, str) and text.endswith(ENDING)
    expected = expectation(read_policy_file(Path(str(text))).promise if is_file else None)
    watch = DriftWatch(policy, expected, share=share, seed=options.seed, cap=options.cap)
    return _by(watch, {"shadow": share, "promise": promised(expected)})


def promised(expected: Expectation) -> str:
    """What a run is held to, in words."""
    promise = expected.promise
    parts = [
        f"at most {100 * promise.tolerance:g} points below even",
        f"at most {100 * expected.changed:g} % of the answers changed",
        *([] if expected.effort is None else [f"at most {100 * expected.effort:g} % of the cap taken"]),
    ]
    return f"{', '.join(parts)}; {100 * promise.confidence:g} % confidence"


def _by(overseer: AllocatingOverseer, settings: dict[str, Setting]) -> Oversight:
    return Oversight(overseer.allocator, overseer, settings)
