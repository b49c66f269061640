"""What the branches of a program have come to: their texts, the answers that these state, and the votes for each.

Every algorithm ends with finished branches: completions that voted, paths of a tree, or chains that were probed. Which
answer won was decided by the program; here it is looked up which of them said so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dynasor.programs.best_of_n import by_reward
from dynasor.programs.choosing import path_score
from dynasor.programs.probed import Probed
from dynasor.programs.program import Program
from dynasor.programs.search import Search
from dynasor.programs.tree import End
from dynasor.programs.weighted import WeightedSelfConsistency
from dynasor.request import Completion, Finish, RequestId, ToolCall

_THOUGHT, _THOUGHT_END = "<think>", "</think>"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A finished branch.

    Attributes:
        index: of its (last) request.
        is_whole: whether the model came to its own end, and was not cut off.
        weight: of its vote.
    """

    index: int
    answer: str | None
    text: str
    tokens: int
    is_whole: bool = True
    weight: float = 1.0
    calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class Alternative:
    """An answer, with the branches that gave it, the best of them first."""

    answer: str | None
    branches: tuple[Candidate, ...]

    @property
    def weight(self) -> float:
        """Of all its votes."""
        return sum(branch.weight for branch in self.branches)


def candidates(program: Program, ended: Mapping[RequestId, Completion]) -> list[Candidate]:
    """The finished branches of a program that has ended; `ended` is what came of all of its requests."""
    if isinstance(program, Search):
        return _paths(program)
    if isinstance(program, Probed):
        return _chains(program, ended)
    return [
        Candidate(
            branch.id.index, program.answer_of(branch), branch.text, branch.tokens or 0,
            branch.finish is Finish.STOP, _weight(program, branch), branch.calls,
        )
        for branch in program.branches
    ]  # fmt: skip


def ranked(program: Program, found: Sequence[Candidate], answer: str | None) -> list[Alternative]:
    """The answers, with the program's own first and the others by their votes; branches without an answer are last.

    Of the branches with one answer the weightiest is first. Where all weigh the same it is the shortest that the model
    ended by itself: among those that agree, what is longer adds words and not certainty, and a reader waits for them.
    """
    grouping = program.setup.grouping()
    groups: dict[object, list[Candidate]] = {}
    for candidate in found:
        place = None if candidate.answer is None else (grouping.place(candidate.answer).group,)
        groups.setdefault(place, []).append(candidate)
    own = None if answer is None else (grouping.place(answer).group,)
    sorted_groups = {place: sorted(group, key=_quality) for place, group in groups.items()}
    made = [(place, Alternative(_spelled(group), tuple(group))) for place, group in sorted_groups.items()]
    made.sort(key=lambda pair: (pair[0] != own, pair[0] is None, -pair[1].weight, _first(pair[1])))
    return [alternative for _, alternative in made]


def best(alternatives: Sequence[Alternative], count: int) -> list[Candidate]:
    """So many branches: the best of each answer first, then the next of each."""
    rounds = max((len(alternative.branches) for alternative in alternatives), default=0)
    ordered = [
        alternative.branches[place]
        for place in range(rounds)
        for alternative in alternatives
        if place < len(alternative.branches)
    ]
    return ordered[:count]


def concluded(text: str, answer: str | None) -> str:
    """A chain of thought that was cut, ended with the answer that its probes told."""
    if answer is None:
        return text
    ending = f"\n{_THOUGHT_END}" if _THOUGHT in text and _THOUGHT_END not in text else ""
    return f"{text}{ending}\n\n**Final answer:** \\boxed{{{answer}}}"


def _quality(candidate: Candidate) -> tuple[float, bool, int, int]:
    return -candidate.weight, not candidate.is_whole, candidate.tokens, candidate.index


def _spelled(group: Sequence[Candidate]) -> str | None:
    return min(group, key=lambda candidate: candidate.index).answer


def _first(alternative: Alternative) -> int:
    return min(branch.index for branch in alternative.branches)


def _weight(program: Program, branch: Completion) -> float:
    if isinstance(program, WeightedSelfConsistency):
        return program.weight_of(branch)
    return (program.setup.scorer or by_reward)(branch) if program.reads_scores else 1.0


def _paths(program: Search) -> list[Candidate]:
    settings = program.settings
    score = path_score(settings.path_score) if settings.answer != "votes" else None
    return [
        Candidate(
            node.index, node.answer, node.path_text, node.tokens,
            node.end not in (End.LENGTH, End.DEPTH), 1.0 if score is None else score(node),
        )
        for node in program.candidates
    ]  # fmt: skip


def _chains(program: Probed, ended: Mapping[RequestId, Completion]) -> list[Candidate]:
    found = []
    for chain in program.chains:
        completion = ended.get(chain.id)
        if completion is None or completion.finish is Finish.FAILED:
            continue
        answer = chain.leaning(program.setup.grouping())
        text = completion.text if chain.concluded is not None else concluded(completion.text, answer)
        is_whole = completion.finish is not Finish.LENGTH
        found.append(Candidate(chain.id.index, answer, text, completion.tokens or 0, is_whole))
    return found
