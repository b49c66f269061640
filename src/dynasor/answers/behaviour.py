"""Programs are the same where they do the same: grouping of code by behaviour (paper 3.1, for answers that are code).

What a program does is asked of a `Behaviour`, which is handed in: this module runs nothing. It is off unless a run
asks for it, for it means running what a model wrote; `engines.sandbox` holds the one that does so under limits.
"""

from collections.abc import Callable, Hashable

from dynasor.answers.code import normal_code
from dynasor.answers.grouping import GroupId, Placement

Behaviour = Callable[[str], Hashable | None]
"""An answer -> what its program does on the problem's public examples, such as the tuple of its outputs there.

Equal values mean the same behaviour, so it must give the same value for the same answer. A fault is a behaviour like
any other. None where nothing can be told: the problem has no examples, or the answer is no program.
"""


class ByBehaviour:
    """Answers are the same where their behaviour is; those without one, where their code is.

    A behaviour is asked for once per answer.
    """

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._group_of: dict[str, GroupId] = {}

    def place(self, answer: str) -> Placement:
        """The behaviour is the group."""
        if answer not in self._group_of:
            behaviour = self._behaviour(answer)
            known = behaviour is not None
            self._group_of[answer] = ("behaviour", behaviour) if known else ("code", normal_code(answer))
        return Placement(self._group_of[answer])
