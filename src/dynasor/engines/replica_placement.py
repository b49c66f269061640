"""Which replica a request goes to: the one that holds its program's prefix, unless that one has too much to do.

Decisions only. The same calls in the same order give the same places; nothing is drawn.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from dynasor.engines.replica_policy import ReplicaPolicy
from dynasor.request import ProgramId

REMEMBERED = 1 << 13
"""Programs whose replica is known. Nobody tells when a program has ended: the one longest unheard of is forgotten."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a replica has to do.

    Attributes:
        tokens: the most that its requests may still generate, by their `max_tokens`.
    """

    requests: int = 0
    tokens: int = 0


class Placement:
    """Places programs, and their requests with them.

    A program's first request goes to the replica with the fewest outstanding tokens, and later ones go there too. From
    an overloaded replica a request goes to the least loaded one, and its program stays where it is, for the prefix is
    there. Where the program's replica is not to be had, the program moves for good.
    """

    def __init__(self, policy: ReplicaPolicy) -> None:
        self._policy = policy
        self._homes: OrderedDict[ProgramId, int] = OrderedDict()

    def place(self, program: ProgramId, loads: Sequence[Load], offered: Sequence[int]) -> int | None:
        """The replica for a request; None where none is offered.

        Args:
            program: that the request is of.
            loads: of every replica.
            offered: indices of the replicas that may be asked.
        """
        if not offered:
            return None
        least = min(offered, key=lambda index: (loads[index].tokens, loads[index].requests, index))
        home = self._homes.get(program)
        if home is None or home not in offered:
            self._remember(program, least)
            return least
        self._homes.move_to_end(program)
        return least if self._is_overloaded(home, loads, offered) else home

    def _is_overloaded(self, home: int, loads: Sequence[Load], offered: Sequence[int]) -> bool:
        count = loads[home].requests + 1
        even = (sum(loads[index].requests for index in offered) + 1) / len(offered)
        return count > max(self._policy.free_requests, self._policy.load_bound * even)

    def _remember(self, program: ProgramId, replica: int) -> None:
        self._homes[program] = replica
        self._homes.move_to_end(program)
        if len(self._homes) > REMEMBERED:
            self._homes.popitem(last=False)
