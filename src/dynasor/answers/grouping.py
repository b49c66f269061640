"""Which answers are the same answer.

A grouping is an equivalence relation, whatever it is made from: reflexive and symmetric because it compares group
names, transitive because groups that turn out to be the same are joined. It does not count votes.
"""

from collections.abc import Callable, Hashable
from typing import NamedTuple, Protocol

from dynasor.answers.equivalence import normal_form

GroupId = Hashable


class Placement(NamedTuple):
    """The group that an answer belongs to, and the groups that it proved to be the same as that one."""

    group: GroupId
    joined: tuple[GroupId, ...] = ()


class Grouping(Protocol):
    """The groups among the answers of one program."""

    def place(self, answer: str) -> Placement:
        """Find the group of an answer, opening one where there is none."""
        ...


class ByNormalForm:
    """Answers are the same where their normal forms are: exact, constant time, the default (paper 3.1)."""

    def place(self, answer: str) -> Placement:
        """The normal form is the group."""
        return Placement(normal_form(answer))


class ByText:
    """Answers are the same where their text is; for recordings whose spellings were merged when they were made."""

    def place(self, answer: str) -> Placement:
        """The text is the group."""
        return Placement(answer)


class ByEquality:
    """Answers are the same where a test says so of any two members' representatives, closed under transitivity.

    The test may be neither cheap nor transitive (a computer algebra system is neither): it is asked only of answers
    with different normal forms, once per group, and an answer that equals two groups joins them.
    """

    def __init__(self, same: Callable[[str, str], bool]) -> None:
        self._same = same
        self._group_of: dict[str, GroupId] = {}  # by normal form
        self._representatives: dict[GroupId, list[str]] = {}

    def place(self, answer: str) -> Placement:
        """Find the group by normal form, else by the test against every known spelling's group."""
        form = normal_form(answer)
        if form in self._group_of:
            return Placement(self._group_of[form])
        equal = [
            group for group, members in self._representatives.items() if any(self._same(answer, m) for m in members)
        ]
        if not equal:
            self._group_of[form] = form
            self._representatives[form] = [answer]
            return Placement(form)
        kept, joined = equal[0], tuple(equal[1:])
        self._group_of[form] = kept
        self._representatives[kept].append(answer)
        for group in joined:
            self._representatives[kept] += self._representatives.pop(group)
        self._group_of |= {known: kept for known, group in self._group_of.items() if group in joined}
        return Placement(kept, joined)
