"""One scenario for all hosts: programs that arrive, their gangs, and the order in which `gang+sjf` starts them.

One place, and a token takes a second. A program's gangs follow one another; each of its requests takes `tokens`. Who
plays it tells the scheduler of each program: the remaining knob is the number of its requests that have not landed, and
the knob the number of those that have. With no history, a branch is taken for 10 tokens.
"""

from dataclasses import dataclass

from dynasor.request import ProgramId

DEFAULT_TOKENS = 10.0


@dataclass(frozen=True, slots=True)
class ScriptedProgram:
    """One program.

    Attributes:
        arrives_at: in seconds.
        gangs: how many requests each of its gangs has.
        tokens: of each request.
    """

    id: ProgramId
    arrives_at: float
    gangs: tuple[int, ...]
    tokens: int

    @property
    def cap(self) -> int:
        """All requests that it makes."""
        return sum(self.gangs)


@dataclass(frozen=True, slots=True)
class Scenario:
    """Programs, places, and what must come of it.

    Attributes:
        order: program and index of each request, in the order in which they start.
        ends_at: when each program ends, in seconds.
    """

    programs: tuple[ScriptedProgram, ...]
    slots: int
    order: tuple[tuple[str, int], ...]
    ends_at: dict[str, float]


def _program(id: str, arrives_at: float, gangs: tuple[int, ...], tokens: int) -> ScriptedProgram:
    return ScriptedProgram(ProgramId(id), arrives_at, gangs, tokens)


FIG_7 = Scenario(
    (_program("one", 0.0, (2,), 4), _program("two", 0.0, (2,), 5)),
    slots=2,
    order=(("one", 0), ("one", 1), ("two", 0), ("two", 1)),
    ends_at={"one": 4.0, "two": 9.0},
)
"""Fig. 7 of the paper (5.3.1): a mean of 6.5, where request by request, in turns, takes 9.0."""

GANG_SJF = Scenario(
    (
        _program("long", 0.0, (2, 2), 10),  # it begins alone, and keeps its place between its gangs
        _program("middle", 1.0, (3,), 10),
        _program("short", 2.0, (1, 1), 10),  # it comes after the middle one, and needs less
        _program("late", 21.0, (1,), 10),  # it needs the least of all that has not begun
    ),
    slots=1,
    order=(
        *(("long", 0), ("long", 1), ("long", 2), ("long", 3)),
        *(("late", 0), ("short", 0), ("short", 1)),
        *(("middle", 0), ("middle", 1), ("middle", 2)),
    ),
    ends_at={"long": 40.0, "late": 50.0, "short": 70.0, "middle": 100.0},
)
"""A begun program goes on before all others, second gang and all; of the others, the shortest goes first."""
