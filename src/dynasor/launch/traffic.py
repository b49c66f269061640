"""Recorded programs as traffic for the simulator: which come, when, with which samples and deadlines."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

import msgspec

from dynasor.allocation.allocator import InFlight, InRounds
from dynasor.allocation.overload import Overload
from dynasor.answers.grouping import ByNormalForm, ByText
from dynasor.datasets.problem import Problem, Recording, judge
from dynasor.datasets.recordings import read_recordings
from dynasor.engines.recorded import RecordedEngine
from dynasor.errors import UsageError
from dynasor.launch.measures import check_recorded
from dynasor.launch.options import RunOptions
from dynasor.programs.program import Setup
from dynasor.programs.session import Session
from dynasor.request import ProgramId, Sample
from dynasor.runtime.drive import drive
from dynasor.scheduling.estimate import Kind
from dynasor.simulation.plan import PlannedProgram
from dynasor.wiring import (
    check_cap,
    check_decided,
    default_policy,
    make_algorithm,
    make_policy,
    session_maker,
    session_of,
)

CHARACTERS_PER_TOKEN = 4
EASY_FACTOR, HARD_FACTOR = 1.0, 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Recorded programs, and when they come.

    Attributes:
        trace: a recording, as for a run.
        arrivals: instants in seconds from the start, in order; may be endless.
        programs: how many come at most; where the recording has fewer problems they come again, with their samples in
            another order.
        algorithm: one that asks a problem's prompt over and over, such as `sc`.
        cap: the resource cap.
        in_flight: start everything up to the cap at once and cut what the policy would not have granted.
        prompt_tokens: of every prompt; None: a token for four characters of the prompt's text.
        slo_s: the deadline after the arrival, for problems whose samples are all right; all others have twice as much
            (difficulty-aware deadlines, 6.1). None for no deadlines.
        due: grant less where what the policy grants would be late.
        seed: of the order of the problems and of each program's samples.
    """

    trace: str
    arrivals: Callable[[], Iterator[float]]
    programs: int
    algorithm: str = "sc"
    cap: int = 20
    in_flight: bool = False
    prompt_tokens: int | None = None
    slo_s: float | None = None
    due: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for name in ("programs", "cap"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.prompt_tokens is not None and self.prompt_tokens < 1:
            raise UsageError(f"prompt_tokens is {self.prompt_tokens}; it must be at least 1")
        if self.slo_s is not None and not self.slo_s > 0:
            raise UsageError(f"the SLO is {self.slo_s} s; it must be above 0")
        if self.due and self.slo_s is None:
            raise UsageError("nothing is due, as no deadline is given; add --slo, or leave out --due")


class Workload:
    """The programs of some traffic under one policy: the same ones at the same instants under every policy.

    Attributes:
        policy: its canonical specification.
        name, digest: of the recording.
    """

    def __init__(self, traffic: Traffic, policy: str | None = None) -> None:
        algorithm = make_algorithm(traffic.algorithm)
        made, self.policy = make_policy(default_policy(algorithm, traffic.cap) if policy is None else policy)
        check_cap(made, self.policy, traffic.cap)
        check_decided(made, algorithm, traffic.algorithm)
        self._traffic = traffic
        recordings = read_recordings(traffic.trace)
        self.name, self.digest = recordings.name, recordings.digest()
        self._recordings = _long_enough(list(recordings), traffic)
        check_recorded(RunOptions(trace=traffic.trace, algorithm=traffic.algorithm), algorithm, self._recordings)
        grouping = ByNormalForm if Path(traffic.trace).is_dir() else ByText
        setup = Setup(cap=traffic.cap, grouping=grouping, seed=traffic.seed)
        self._prompt = setup.prompt
        self._session = session_maker(algorithm, setup, made, in_flight=traffic.in_flight)
        self._allocator = partial(InFlight if traffic.in_flight else InRounds, made)
        self._under = partial(session_of, algorithm, setup)
        self._order = list(range(len(self._recordings)))
        Random(f"{traffic.seed}/problems").shuffle(self._order)
        self._totals: dict[ProgramId, int] = {}

    def __iter__(self) -> Iterator[PlannedProgram]:
        """The programs in the order in which they come."""
        return self.under(None)

    def under(self, overload: Overload | None) -> Iterator[PlannedProgram]:
        """The same, whose grants an overload shrinks where they would be late."""
        for number, instant in zip(range(self._traffic.programs), self._traffic.arrivals(), strict=False):
            yield self._planned(number, instant, overload)

    def foreseen(self) -> Callable[[ProgramId], int]:
        """What a program takes, where what is in flight is not cut; for an oracle."""
        return self._total_tokens

    def _total_tokens(self, program: ProgramId) -> int:
        if program not in self._totals:
            self._totals.update(self._counted())
        return self._totals[program]

    def _counted(self) -> Iterator[tuple[ProgramId, int]]:
        for number in range(self._traffic.programs):
            problem, samples = self._program(number)
            outcome = drive(self._session(problem), RecordedEngine({problem.id: samples}))
            yield ProgramId(problem.id), outcome.tokens

    def _program(self, number: int) -> tuple[Problem, list[Sample]]:
        """Once all problems have come, they come again under other names, and their samples in another order."""
        turn, place = divmod(number, len(self._order))
        recording = self._recordings[self._order[place]]
        id = recording.problem.id + (f" again {turn}" if turn else "")
        samples = list(recording.samples)
        Random(f"{self._traffic.seed}/{id}").shuffle(samples)
        return msgspec.structs.replace(recording.problem, id=id), samples

    def _planned(self, number: int, instant: float, overload: Overload | None) -> PlannedProgram:
        traffic = self._traffic
        problem, samples = self._program(number)
        within_s = None if traffic.slo_s is None else traffic.slo_s * difficulty_factor(problem)
        session = self._session if overload is None or within_s is None else self._due(overload, within_s)
        return PlannedProgram(
            arrives_at=instant,
            session=lambda: session(problem),
            samples=samples,
            prompt_tokens=traffic.prompt_tokens or self._prompt_tokens(problem),
            deadline=None if within_s is None else instant + within_s,
            kind=Kind(traffic.algorithm, self.name),
            even_tokens=sum(sample.tokens for sample in samples[: traffic.cap]),
            correct=lambda answer: judge(problem, answer),
        )

    def _due(self, overload: Overload, within_s: float) -> Callable[[Problem], Session]:
        return self._under(lambda program: overload.due(program.id, within_s, self._allocator()))

    def _prompt_tokens(self, problem: Problem) -> int:
        text = "".join(turn if isinstance(turn, str) else turn.content for turn in self._prompt.fill(problem.question))
        return max(1, len(text) // CHARACTERS_PER_TOKEN)


def difficulty_factor(problem: Problem) -> float:
    """Of deadlines: 1 where every recorded sample is right, else 2."""
    verdicts = problem.verdicts
    return EASY_FACTOR if verdicts and all(verdict == 1.0 for verdict in verdicts.values()) else HARD_FACTOR


def _long_enough(recordings: list[Recording], traffic: Traffic) -> list[Recording]:
    enough = [recording for recording in recordings if len(recording.samples) >= traffic.cap]
    if not enough:
        most = max(len(recording.samples) for recording in recordings)
        raise UsageError(
            f"the cap is {traffic.cap}, and no problem of {traffic.trace} has more than {most} samples; lower the cap"
        )
    return enough
