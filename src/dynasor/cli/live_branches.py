"""What a program's branches have come to, folded from the records of its journal. Knows no terminal."""

from collections import Counter
from dataclasses import dataclass, field

from dynasor.answers.equivalence import normal_form
from dynasor.answers.voting import Ballot
from dynasor.certaindex.entropy import entropy_certaindex
from dynasor.journal.records import Landed
from dynasor.request import Finish


@dataclass(slots=True)
class Branches:
    """The branches of one program so far.

    Attributes:
        landed: those that the model brought to an end.
        cut, failed: those that we cut, and that the server refused.
        tokens: of all of them, as far as the server told.
    """

    landed: int = 0
    cut: int = 0
    failed: int = 0
    tokens: int = 0
    _ballot: Ballot = field(default_factory=Ballot)
    _votes: Counter[str] = field(default_factory=Counter)
    _spelled: dict[str, str] = field(default_factory=dict)

    def take(self, record: Landed) -> None:
        """Take in one branch that has ended."""
        completion = record.completion
        self.tokens += completion.tokens or 0
        self.cut += completion.finish is Finish.CANCELLED
        self.failed += completion.finish is Finish.FAILED
        if completion.finish.is_whole:
            self.landed += 1
            self._ballot.cast(completion.id.index, record.answer)
            self._vote(record.answer)

    @property
    def certaindex(self) -> float:
        """How far the answers agree, in [0, 1]."""
        return entropy_certaindex(self._ballot)

    @property
    def leaders(self) -> list[tuple[str, int]]:
        """The answers with their votes, most votes first; branches without an answer have none."""
        return [(self._spelled[form], count) for form, count in self._votes.most_common()]

    @property
    def unanswered(self) -> int:
        """Branches that landed without an answer."""
        return self._ballot.unanswered

    def _vote(self, answer: str | None) -> None:
        if answer is not None:
            form = normal_form(answer)
            self._spelled.setdefault(form, answer)
            self._votes[form] += 1
