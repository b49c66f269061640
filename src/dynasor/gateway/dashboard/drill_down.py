"""One program in full, for whoever looks at it: its branches, its votes, and, where that may be, what was said."""

from collections.abc import Sequence
from typing import Any

from dynasor.gateway.dashboard.live_program import Branch, LiveProgram
from dynasor.gateway.reasoning_candidates import Candidate, candidates, ranked
from dynasor.programs.probed import Probed
from dynasor.programs.program import Program
from dynasor.request import Completion, RequestId

_LONGEST = 4000  # characters of one text
_MOST = 128  # branches, the latest


def told_in_full(known: LiveProgram, *, texts: bool) -> dict[str, Any]:
    """A program; without texts, answers are numbers of votes, and branches are tokens and instants.

    Args:
        known: the program.
        texts: whether prompts and answers may be shown.
    """
    program = known.program if texts else None
    told = known.told()
    branches = known.branches[-_MOST:]
    if program is None:
        ballot = known.groups if known.session is None else known.session.program.evidence.ballot.counts
        told["prompt"] = None
        told["votes"] = [{"answer": None, "votes": count} for count in sorted(ballot, reverse=True)]
        told["branches"] = [_numbers(branch) for branch in branches]
    else:
        told["answer"] = _cut(known.answer)
        told["prompt"] = _prompt(program)
        told["votes"] = _votes(known, program)
        told["branches"] = [_branch(branch, program) for branch in branches]
    told["more_branches"] = sum(known.counts.values()) - len(branches)
    return told


def _numbers(branch: Branch) -> dict[str, Any]:
    return {"index": branch.id.index, "finish": branch.finish, "tokens": branch.tokens, "at": branch.at}


def _branch(branch: Branch, program: Program) -> dict[str, Any]:
    told, completion = _numbers(branch), branch.completion
    if completion is None:
        return told
    answer = program.answer_of(completion) if completion.finish.is_whole else None
    kind = "probe" if isinstance(program, Probed) and program.chain_of(completion.id) is not None else "branch"
    text = completion.error if completion.error is not None else completion.text
    return {**told, "kind": kind, "answer": _cut(answer), "text": _cut(text), "reward": completion.reward}


def _prompt(program: Program) -> list[dict[str, str | None]]:
    prompt = program.prompt
    if isinstance(prompt, str):
        return [{"role": "prompt", "content": _cut(prompt)}]
    return [{"role": turn.role, "content": _cut(turn.content)} for turn in prompt]


def _votes(known: LiveProgram, program: Program) -> list[dict[str, Any]]:
    """The answers so far, that of the program first."""
    found = _running_chains(program) if isinstance(program, Probed) else candidates(program, _completions(known))
    return [
        {"answer": _cut(answer.answer), "votes": len(answer.branches), "weight": answer.weight}
        for answer in ranked(program, found, known.answer)
    ]


def _running_chains(program: Probed) -> Sequence[Candidate]:
    """Each chain by what its probes say."""
    grouping = program.setup.grouping
    return [Candidate(chain.id.index, chain.leaning(grouping()), "", 0) for chain in program.chains]


def _completions(known: LiveProgram) -> dict[RequestId, Completion]:
    return {branch.id: branch.completion for branch in known.branches if branch.completion is not None}


def _cut(text: str | None) -> str | None:
    if text is None or len(text) <= _LONGEST:
        return text
    return f"{text[:_LONGEST]} … ({len(text) - _LONGEST} characters more)"
