"""What is to be simulated: programs that come at instants, with their recorded answers, and a fleet."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from dynasor.allocation.overload import Overload
from dynasor.datasets.probed_traces import ProbedChain
from dynasor.programs.session import Session
from dynasor.request import Sample
from dynasor.scheduling.estimate import Kind
from dynasor.simulation.fleet import Fleet


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedProgram:
    """One program that comes.

    Attributes:
        arrives_at: in seconds from the start.
        session: makes its session; called when it comes. The ids of the programs of a plan differ.
        samples: its recorded answers, number i for its request i.
        chain: the recorded chain of a program that probes one; its samples are not asked for then.
        prompt_tokens: of its prompt, which all of its requests share.
        deadline: the instant by which its answer is due; None for no deadline.
        kind: what it has in common with programs whose branches are of about the same length.
        even_tokens: what even allocation would take for it; None where nobody asks.
        correct: how right an answer is, in [0, 1]; None where nobody can tell.
    """

    arrives_at: float
    session: Callable[[], Session]
    samples: Sequence[Sample]
    prompt_tokens: int
    deadline: float | None = None
    kind: Kind = Kind()  # noqa: RUF009  (frozen)
    even_tokens: int | None = None
    chain: ProbedChain | None = None
    correct: Callable[[str | None], float | None] = lambda answer: None


@dataclass(frozen=True, slots=True)
class SimulationPlan:
    """A run: programs in the order of their arrival, which may be a stream, and the fleet that serves them.

    Attributes:
        overload: what the allocators of programs ask that are due; it is kept informed, and of one run only.
    """

    programs: Iterable[PlannedProgram]
    fleet: Fleet
    overload: Overload | None = None
