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
    """One program under one order of its branches, from nothing to its end: the cap, or where it ends by itself.

    Attributes:
        progress: what a policy is told at each knob from 0 to the end.
        right: how right the answer is at each knob, in [0, 1].
        spent: tokens that it takes to be stopped at each knob; where not given, those of the branches that have landed
            by then.
        same: whether the answer at each knob is the one at the end; empty where that is not known.
        needed: the fewest branches from which on the answer is right; None where it is wrong at the end.
    """

    progress: tuple[Progress, ...]
    right: tuple[float, ...]
    spent: tuple[int, ...] = ()
    same: tuple[bool, ...] = ()
    needed: int | None = field(init=False)

    def __post_init__(self) -> None:
        """Look for it once: every fit asks."""
        object.__setattr__(self, "needed", _needed(self.right))
        object.__setattr__(self, "spent", self.spent or tuple(each.tokens for each in self.progress))

    @property
    def cap(self) -> int:
        """The resource cap."""
        return self.progress[0].cap

    @property
    def end(self) -> int:
        """The knob at which the program ends if nothing stops it."""
        return len(self.right) - 1

    def stopped_at(self, policy: Policy) -> int:
        """The knob at which a policy ends the program; it is asked again where its grant has ended."""
        knob = 0
        while knob < self.end and (grant := bounded(policy, self.progress[knob])):
            knob = min(knob + grant.knob, self.end)
        return knob


@dataclass(frozen=True, slots=True)
class ProblemProfile:
    """One problem under several orders of its branches."""

    id: str
    paths: tuple[Path, ...]


def profiled(
    recordings: Iterable[Recording],
    algorithm: type[Program],
    setup: Setup,
    *,
    orders: int,
    in_flight: bool = False,
) -> list[ProblemProfile]:
    """The profiles of those recordings that have as many samples as the cap; others are left out.

    Args:
        recordings: of independent problems, each with a right answer or with verdicts.
        algorithm: one that answers by majority, with a branch for each turn of the knob.
        setup: with the cap and the grouping.
        orders: how many seeded orders of a problem's samples; those of `dynasor run --trace ... --seed 0, 1, ...`.
        in_flight: whether all branches start at once and run at one speed, so that the short ones land first and what
            is cut has cost as much as the last one that landed.

    Raises:
        UsageError: where the algorithm's answer at each knob cannot be told, a problem has no right answer, or no
            recording has enough samples.
    """
    if not (algorithm.answers_by_majority and algorithm.replays):
        raise UsageError(
            f"{algorithm.__name__} does not answer by majority, so a recording does not tell its answers; calibrate it"
            " on a run of its own: dynasor run --policy even, and then the run's directory in place of the recording"
        )
    enough = (recording for recording in recordings if len(recording.samples) >= setup.cap)
    found = [_problem(recording, algorithm, setup, range(orders), in_flight) for recording in enough]
    if not found:
        raise UsageError(f"the cap is {setup.cap}, and no problem of the recording has as many samples; lower the cap")
    return found


def _needed(right: Sequence[float]) -> int | None:
    knob = len(right)
    while knob > 1 and right[knob - 1] >= RIGHT:
        knob -= 1
    return knob if knob < len(right) else None


def _problem(
    recording: Recording, algorithm: type[Program], setup: Setup, seeds: Iterable[int], in_flight: bool
) -> ProblemProfile:
    problem = recording.problem
    samples = {problem.id: recording.samples}
    verdicts: dict[str | None, float] = {}
    paths = []
    for seed in seeds:
        order = RecordedEngine(samples, seed=seed).order(problem.id)[: setup.cap]
        drawn = list(enumerate(recording.samples[place] for place in order))
        spent: tuple[int, ...] = ()
        if in_flight:
            drawn.sort(key=lambda branch: branch[1].tokens)
            spent = _side_by_side([sample.tokens for _, sample in drawn])
        paths.append(_path(algorithm(problem, setup), drawn, verdicts, spent))
    return ProblemProfile(problem.id, tuple(paths))


def _side_by_side(lengths: Sequence[int]) -> tuple[int, ...]:
    """What all branches have generated when so many have landed; lengths ascend."""
    return (0, *(sum(min(other, length) for other in lengths) for length in lengths))


def _path(
    program: Program, drawn: Iterable[tuple[int, Sample]], verdicts: dict[str | None, float], spent: tuple[int, ...]
) -> Path:
    """The path of branches, each with its number, in the order in which they land."""
    progress, right, answers = [program.progress()], [0.0], [program.evidence.ballot.majority]
    for index, sample in drawn:
        program.knob += 1
        program.land(_completion(program, index, sample))
        program.update_certaindex()
        progress.append(program.progress())
        leading = program.evidence.ballot.majority
        answers.append(leading)
        if leading not in verdicts:
            verdicts[leading] = judged(program.problem, leading)
        right.append(verdicts[leading])
    return Path(tuple(progress), tuple(right), spent, tuple(answer == answers[-1] for answer in answers))


def _completion(program: Program, index: int, sample: Sample) -> Completion:
    return Completion(
        id=RequestId(program.id, index),
        tokens=sample.tokens,
        mean_logprob=sample.mean_logprob,
        reward=sample.reward,
        recorded=Recorded(sample.answer),
    )


def judged(problem: Problem, answer: str | None) -> float:
    """How right an answer is, in [0, 1].

    Raises:
        UsageError: where the problem has no right answer.
    """
    verdict = judge(problem, answer)
    if verdict is None:
        raise UsageError(f"problem '{problem.id}' has no right answer; calibrate on problems that have one")
    return verdict
