"""Recorded chains that are probed as they are written, as traffic for the simulator.

A chain can be asked only where it was asked when it was recorded: there it reports, whatever the interval of the
algorithm is.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random

import msgspec

from dynasor.allocation.allocator import InRounds
from dynasor.allocation.overload import Overload
from dynasor.answers.grouping import ByText
from dynasor.datasets.probed_traces import ProbedChain, read_probed
from dynasor.datasets.problem import Problem, judge
from dynasor.errors import UsageError
from dynasor.launch.traffic import CHARACTERS_PER_TOKEN, Traffic, difficulty_factor
from dynasor.programs.probed import Probed
from dynasor.programs.program import Program, Setup
from dynasor.programs.session import Session
from dynasor.request import ProgramId
from dynasor.scheduling.estimate import Kind
from dynasor.simulation.plan import PlannedProgram
from dynasor.wiring import check_cap, check_decided, default_policy, make_algorithm, make_policy, session_of


def probes(algorithm: str) -> type[Program] | None:
    """The algorithm of a name, if it is one that probes one chain.

    Raises:
        UsageError: for one that probes several, of which a recording has no common points.
    """
    made = make_algorithm(algorithm)
    if not issubclass(made, Probed):
        return None
    if made.settings.chains > 1:
        raise UsageError(f"{algorithm} probes {made.settings.chains} chains at once; recorded ones were probed apart")
    return made


class ProbedWorkload:
    """The programs of some traffic under one policy, each one chain; as `traffic.Workload`.

    Attributes:
        policy: its canonical specification.
        name: of the recording.
    """

    def __init__(self, traffic: Traffic, algorithm: type[Program], policy: str | None = None) -> None:
        made, self.policy = make_policy(default_policy(algorithm, traffic.cap) if policy is None else policy)
        check_cap(made, self.policy, traffic.cap)
        check_decided(made, algorithm, traffic.algorithm)
        if traffic.in_flight:
            raise UsageError("a chain is one request, so there is nothing to cut in flight; leave out --in-flight")
        trace = read_probed(Path(traffic.trace))
        self.name = trace.name
        self._traffic = traffic
        self._recordings = list(trace.recordings)
        Random(f"{traffic.seed}/problems").shuffle(self._recordings)
        setup = Setup(cap=traffic.cap, grouping=ByText, seed=traffic.seed)
        self._prompt = setup.prompt
        self._allocator = partial(InRounds, made)
        self._under = partial(session_of, algorithm, setup)

    def __iter__(self) -> Iterator[PlannedProgram]:
        """The programs in the order in which they come."""
        return self.under(None)

    def under(self, overload: Overload | None) -> Iterator[PlannedProgram]:
        """The same, whose grants an overload shrinks where they would be late."""
        for number, instant in zip(range(self._traffic.programs), self._traffic.arrivals(), strict=False):
            yield self._planned(number, instant, overload)

    def foreseen(self) -> Callable[[ProgramId], int]:
        """Nobody knows.

        Raises:
            UsageError: always.
        """
        raise UsageError("an oracle would have to know where a chain will be cut; leave the ordering oracle out")

    def _planned(self, number: int, instant: float, overload: Overload | None) -> PlannedProgram:
        traffic = self._traffic
        problem, chain = self._program(number)
        within_s = None if traffic.slo_s is None else traffic.slo_s * difficulty_factor(problem)
        session = self._sessions(overload, within_s)
        return PlannedProgram(
            arrives_at=instant,
            session=lambda: session(problem),
            samples=(),
            chain=chain,
            prompt_tokens=traffic.prompt_tokens or self._prompt_tokens(problem),
            deadline=None if within_s is None else instant + within_s,
            kind=Kind(traffic.algorithm, self.name),
            even_tokens=chain.tokens,
            correct=lambda answer: judge(problem, answer),
        )

    def _program(self, number: int) -> tuple[Problem, ProbedChain]:
        """Once all problems have come, they come again under other names, each with its next chain."""
        turn, place = divmod(number, len(self._recordings))
        recording = self._recordings[place]
        id = recording.problem.id + (f" again {turn}" if turn else "")
        chain = recording.chains[turn % len(recording.chains)]
        return msgspec.structs.replace(recording.problem, id=id), chain

    def _sessions(self, overload: Overload | None, within_s: float | None) -> Callable[[Problem], Session]:
        if overload is None or within_s is None:
            return self._under(lambda program: self._allocator())
        return self._under(lambda program: overload.due(program.id, within_s, self._allocator()))

    def _prompt_tokens(self, problem: Problem) -> int:
        text = "".join(turn if isinstance(turn, str) else turn.content for turn in self._prompt.fill(problem.question))
        return max(1, len(text) // CHARACTERS_PER_TOKEN)
