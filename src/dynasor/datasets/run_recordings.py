"""A run's own journal as a recording: what its branches answered can be replayed under another policy."""

from collections.abc import Iterator
from pathlib import Path

from dynasor.datasets.problem import Problem, Recording
from dynasor.errors import UsageError
from dynasor.journal.journal import read_journal
from dynasor.journal.records import Landed, ProgramFinished
from dynasor.request import Finish, Sample

_UNUSABLE = frozenset({Finish.CANCELLED, Finish.FAILED})


def recordings_of_run(journal: Path) -> Iterator[Recording]:
    """The finished branches of every program that has answered, in the order of their numbers.

    Raises:
        UsageError: where a branch's tokens are not known, so that a replay could not count them.
    """
    landed: dict[str, dict[int, Sample]] = {}
    for record in read_journal(journal):
        match record:
            case Landed(completion=completion) if completion.finish not in _UNUSABLE:
                landed.setdefault(completion.id.program, {})[completion.id.index] = _sample(journal, record)
            case ProgramFinished():
                branches = landed.pop(record.program, {})
                samples = tuple(branches[index] for index in sorted(branches))
                yield Recording(Problem(record.program, record.question, record.gold), samples)


def _sample(journal: Path, record: Landed) -> Sample:
    completion = record.completion
    if completion.tokens is None:
        raise UsageError(f"{journal}: the server of this run did not count tokens, so it cannot be replayed")
    return Sample(record.answer, completion.tokens, completion.text, completion.mean_logprob, completion.reward)
