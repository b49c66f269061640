"""What a labelled recording says of every problem at every knob: certaindex, tokens, votes, and the leading answer.

A profile is made by the program itself, branch by branch, so that a policy sees here what it will see in a run. A
problem takes memory for its knobs and orders alone, whatever its texts. No policy is known here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from dynasor.allocation.allocator import bounded
from dynasor.allocation.progress import Policy, Progress
from dynasor.datasets.problem import Problem, Recording, judge
from dynasor.engines.recorded import RecordedEngine
from dynasor.errors import UsageError
from dynasor.programs.program import Program, Setup
from dynasor.request import Completion, Recorded, RequestId, Sample

RIGHT = 0.5  # verdicts of recordings are shares; an answer of which most samples were judged right is right


@dataclass(frozen=True, slots=True)
class Path:
    """One program under one order of its branches, from nothing to the cap.

    Attributes:
        progress: what a policy is told at each knob from 0 to the cap.
        right: how right the leading answer is at each knob, in [0, 1].
        needed: the fewest branches from which on the leading answer is right; None where it is wrong at the cap.
    """

    progress: tuple[Progress, ...]
    right: tuple[float, ...]
    needed: int | None = field(init=False)

    def __post_init__(self) -> None:
        """Look for it once: every fit asks."""
        object.__setattr__(self, "needed", _needed(self.right))

    @property
    def cap(self) -> int:
        """The resource cap."""
        return len(self.right) - 1

    def stopped_at(self, policy: Policy) -> int:
        """The knob at which a policy ends the program; grants are waited for."""
        knob = 0
        while grant := bounded(policy, self.progress[knob]):
            knob += grant.knob
        return knob


@dataclass(frozen=True, slots=True)
class ProblemProfile:
    """One problem under several orders of its branches."""

    id: str
    paths: tuple[Path, ...]


def profiled(
    recordings: Iterable[Recording], algorithm: type[Program], setup: Setup, *, orders: int
) -> list[ProblemProfile]:
    """The profiles of those recordings that have as many samples as the cap; others are left out.

    Args:
        recordings: of independent problems, each with a right answer or with verdicts.
        algorithm: one that answers by majority, with a branch for each turn of the knob.
        setup: with the cap and the grouping.
        orders: how many seeded orders of a problem's samples; those of `dynasor run --trace ... --seed 0, 1, ...`.

    Raises:
        UsageError: where the algorithm's answer at each knob cannot be told, a problem has no right answer, or no
            recording has enough samples.
    """
    if not (algorithm.answers_by_majority and algorithm.replays):
        raise UsageError(f"{algorithm.__name__} does not answer by majority; only sc can be calibrated by a recording")
    found = [
        _problem(recording, algorithm, setup, orders) for recording in recordings if len(recording.samples) >= setup.cap
    ]
    if not found:
        raise UsageError(f"the cap is {setup.cap}, and no problem of the recording has as many samples; lower the cap")
    return found


def _needed(right: Sequence[float]) -> int | None:
    knob = len(right)
    while knob > 1 and right[knob - 1] >= RIGHT:
        knob -= 1
    return knob if knob < len(right) else None


def _problem(recording: Recording, algorithm: type[Program], setup: Setup, orders: int) -> ProblemProfile:
    problem = recording.problem
    samples = {problem.id: recording.samples}
    verdicts: dict[str | None, float] = {}
    paths = []
    for seed in range(orders):
        order = RecordedEngine(samples, seed=seed).order(problem.id)[: setup.cap]
        paths.append(_path(algorithm(problem, setup), [recording.samples[place] for place in order], verdicts))
    return ProblemProfile(problem.id, tuple(paths))


def _path(program: Program, samples: Iterable[Sample], verdicts: dict[str | None, float]) -> Path:
    progress, right = [program.progress()], [0.0]
    for index, sample in enumerate(samples):
        program.knob += 1
        program.land(_completion(program, index, sample))
        program.update_certaindex()
        progress.append(program.progress())
        leading = program.evidence.ballot.majority
        if leading not in verdicts:
            verdicts[leading] = _judged(program.problem, leading)
        right.append(verdicts[leading])
    return Path(tuple(progress), tuple(right))


def _completion(program: Program, index: int, sample: Sample) -> Completion:
    return Completion(
        id=RequestId(program.id, index),
        tokens=sample.tokens,
        mean_logprob=sample.mean_logprob,
        reward=sample.reward,
        recorded=Recorded(sample.answer),
    )


def _judged(problem: Problem, answer: str | None) -> float:
    verdict = judge(problem, answer)
    if verdict is None:
        raise UsageError(f"problem '{problem.id}' has no right answer; calibrate on problems that have one")
    return verdict
