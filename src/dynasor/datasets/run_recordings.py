"""A run's own journal as a recording: what its branches answered can be replayed under another policy."""

from collections.abc import Iterator
from pathlib import Path

from dynasor.datasets.files import file_digest
from dynasor.datasets.problem import Problem, Recording
from dynasor.errors import UsageError
from dynasor.journal.journal import read_journal
from dynasor.journal.records import Landed, ProgramFinished
from dynasor.request import Finish, Sample

JOURNAL = "journal.jsonl"
_UNUSABLE = frozenset({Finish.CANCELLED, Finish.FAILED})


class RunRecordings:
    """The finished branches of every program that has answered, in the order of their numbers.

    Iterating raises `UsageError` where no program has answered yet, or where a branch's tokens are not known, so that
    a replay could not count them; a directory without a journal is refused at once.
    """

    def __init__(self, directory: Path, *, keep_text: bool) -> None:
        self._directory = directory
        self._journal = directory / JOURNAL
        self._keep_text = keep_text
        if not self._journal.is_file():
            raise UsageError(f"{directory} is a directory, but not of a run: it holds no {JOURNAL}")

    @property
    def name(self) -> str:
        """The directory's name."""
        return self._directory.resolve().name

    def __iter__(self) -> Iterator[Recording]:
        landed: dict[str, dict[int, Sample]] = {}
        empty = True
        for record in read_journal(self._journal):
            match record:
                case Landed(completion=completion) if completion.finish not in _UNUSABLE:
                    landed.setdefault(completion.id.program, {})[completion.id.index] = self._sample(record)
                case ProgramFinished():
                    empty = False
                    branches = landed.pop(record.program, {})
                    samples = tuple(branches[index] for index in sorted(branches))
                    yield Recording(Problem(record.program, record.question, record.gold), samples)
        if empty:
            raise UsageError(f"{self._directory} has no finished problem yet; resume that run first")

    def digest(self) -> str:
        """Hexadecimal SHA-256 of the journal."""
        return file_digest(self._journal)

    def count(self) -> int | None:
        """Unknown before it is read."""
        return None

    def _sample(self, record: Landed) -> Sample:
        completion = record.completion
        if completion.tokens is None:
            raise UsageError(f"{self._journal}: the server of this run did not count tokens, so it cannot be replayed")
        text = completion.text if self._keep_text else ""
        return Sample(record.answer, completion.tokens, text, completion.mean_logprob, completion.reward)
