"""Where a run was left: what its journal holds, and whether it may go on from there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dynasor.errors import SettingsDiffer, UsageError
from dynasor.journal.journal import read_journal
from dynasor.journal.records import Alarmed, Grew, Landed, ProgramFinished, Record, RunStarted, Setting
from dynasor.request import Completion, Finish, Report
from dynasor.runtime.growth import Growth
from dynasor.runtime.tally import RunTally

Witness = Callable[[Record], None]
"""Told of every record as it is appended."""

_FIRST_BYTES = b'{"kind":"run"'


@dataclass(slots=True)
class ResumePoint:
    """The state of a run.

    Attributes:
        finished: ids of the programs that have answered.
        happened: what came of the requests of those that have not, in its order.
        growth: of requests that may still run.
        tally: the result so far.
        begun: whether the journal has a first record at all.
    """

    finished: set[str] = field(default_factory=set)
    happened: dict[str, list[Completion | Report]] = field(default_factory=dict)
    growth: Growth = field(default_factory=Growth)
    tally: RunTally = field(default_factory=RunTally)
    begun: bool = False

    def take(self, record: Record) -> None:
        """Take in a record after the first."""
        match record:
            case Grew():
                self.happened.setdefault(record.id.program, []).append(self.growth.report(record))
            case Landed(completion=completion):
                self.growth.forget(completion.id)
                if completion.finish is not Finish.FAILED:  # it is left to be tried again
                    self.happened.setdefault(completion.id.program, []).append(completion)
            case ProgramFinished():
                self.finished.add(record.program)
                self.happened.pop(record.program, None)
                self.tally.add(record)
            case Alarmed():
                self.tally.alarm = record


def unseen(record: Record) -> None:
    """The witness of a run that nobody looks at."""


def resume_point(journal: Path, settings: Mapping[str, Setting], witness: Witness = unseen) -> ResumePoint:
    """Read a journal, which may be empty, and compare its settings. Branches that failed are left to be tried again.

    The witness is told of every record that belongs to a run under the same settings.

    Raises:
        SettingsDiffer: if the run was started under other settings; names each that differs.
        UsageError: if the file is not a journal of a run.
    """
    point = ResumePoint()
    for record in read_journal(journal):
        match record:
            case RunStarted():
                _compare(journal, record.settings, settings)
                point.begun = True
            case _ if not point.begun:
                raise UsageError(f"{journal} does not begin with the settings of a run; choose another --out")
            case _:
                point.take(record)
        witness(record)
    if not point.begun:
        _refuse_strangers(journal)
    return point


def _refuse_strangers(journal: Path) -> None:
    """A file without a whole record is ours only if it is the beginning of our first one, torn."""
    with journal.open("rb") as file:
        beginning = file.read(len(_FIRST_BYTES))
    if not _FIRST_BYTES.startswith(beginning):
        raise UsageError(f"{journal} is not the journal of a run; move it away, or choose another --out")


def _compare(journal: Path, old: Mapping[str, Setting], new: Mapping[str, Setting]) -> None:
    names = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    if names:
        changes = "; ".join(f"{name} was {old.get(name)!r} and is now {new.get(name)!r}" for name in names)
        raise SettingsDiffer(
            f"{journal} belongs to a run with other settings: {changes}. Resume with the old, or choose another --out"
        )
