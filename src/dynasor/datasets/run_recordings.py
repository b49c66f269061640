"""A run's own journal as a recording: what its branches answered can be replayed under another policy."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from dynasor.datasets.files import file_digest
from dynasor.datasets.problem import Problem, Recording
from dynasor.errors import UsageError
from dynasor.journal.journal import JOURNAL, read_journal
from dynasor.journal.records import Landed, ProgramFinished, Record, RunStarted, Setting
from dynasor.request import Sample

EVEN = "even"


class RunRecordings:
    """The finished branches of every program that has answered, in the order of their numbers.

    Only a run of even allocation in rounds is a recording: any other policy decided by what the branches said which of
    them there are, so a replay would draw from a biased choice. Iterating raises `UsageError` for such a run, where no
    program has answered yet, and where a branch's tokens are not known, so that a replay could not count them; a
    directory without a journal is refused at once.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._journal = directory / JOURNAL
        if not self._journal.is_file():
            raise UsageError(f"{directory} is a directory, but not of a run: it holds no {JOURNAL}")

    @property
    def name(self) -> str:
        """The directory's name."""
        return self._directory.resolve().name

    def __iter__(self) -> Iterator[Recording]:
        records = read_journal(self._journal)
        self._check_start(next(records, None))
        landed: dict[str, dict[int, Sample]] = {}
        empty = True
        for record in records:
            match record:
                case Landed(completion=completion) if completion.finish.is_whole:
                    landed.setdefault(completion.id.program, {})[completion.id.index] = self._sample(record)
                case ProgramFinished():
                    empty = False
                    yield _recording(record, landed.pop(record.program, {}))
        if empty:
            raise UsageError(f"{self._directory} has no finished problem yet; resume that run first")

    def digest(self) -> str:
        """Hexadecimal SHA-256 of the journal."""
        return file_digest(self._journal)

    def _check_start(self, first: Record | None) -> None:
        if isinstance(first, RunStarted):
            self._check_settings(first.settings)
        elif first is not None:
            raise UsageError(f"{self._journal} does not begin with the settings of a run, so it cannot be replayed")

    def _check_settings(self, settings: Mapping[str, Setting]) -> None:
        policy = settings.get("policy")
        if settings.get("in_flight"):
            raise UsageError(
                f"{self._directory} was cut in flight, so the branches it kept are the short ones;"
                f" replay a run of --policy {EVEN}, and not in flight"
            )
        if policy != EVEN:
            raise UsageError(
                f"{self._directory} is a run of policy {policy}: which branches it holds depends on what they said,"
                f" and a replay could not go beyond them; record with --policy {EVEN}"
            )

    def _sample(self, record: Landed) -> Sample:
        done = record.completion
        if done.tokens is None:
            raise UsageError(f"{self._journal}: the server of this run did not count tokens, so it cannot be replayed")
        return Sample(record.answer, done.tokens, mean_logprob=done.mean_logprob, reward=done.reward)


def _recording(record: ProgramFinished, branches: Mapping[int, Sample]) -> Recording:
    problem = Problem(record.program, record.question, record.gold, record.verdicts)
    return Recording(problem, tuple(branches[index] for index in sorted(branches)), record.failed_count)
