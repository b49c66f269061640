"""What a run's journal holds: of the run as a whole, and of one of its programs. It plays nothing again."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from dynasor.errors import UsageError
from dynasor.journal.journal import JOURNAL, read_journal
from dynasor.journal.records import Grew, Landed, ProgramFinished, Record, RunStarted, Setting
from dynasor.request import Completion, Finish, Report
from dynasor.runtime.growth import Growth


@dataclass(slots=True)
class PastRequest:
    """What came of one request; `index` is its place among its program's, from 0."""

    index: int
    report: Report | None = None
    landed: Landed | None = None

    @property
    def ended(self) -> Finish | None:
        """How; None where the run was stopped before."""
        return self.landed.completion.finish if self.landed else None

    @property
    def answer(self) -> str | None:
        """What its program read from it."""
        return self.landed.answer if self.landed else None

    @property
    def text(self) -> str:
        """All that is known of what the model wrote."""
        written = self.landed.completion.text if self.landed else ""
        return written or (self.report.text if self.report else "")

    @property
    def tokens(self) -> int | None:
        """Generated tokens; None where nobody told."""
        if self.landed:
            return self.landed.completion.tokens
        return self.report.tokens if self.report else None


@dataclass(slots=True)
class PastProgram:
    """One program.

    Attributes:
        settings: those of its run.
        happened: what its session was told, in order; see `replay`.
        requests: by index, in the order in which they ended.
        finished: None where the run was stopped before it had answered.
    """

    id: str
    settings: Mapping[str, Setting]
    happened: list[Completion | Report] = field(default_factory=list)
    requests: dict[int, PastRequest] = field(default_factory=dict)
    finished: ProgramFinished | None = None
    _growth: Growth = field(default_factory=Growth)

    def take(self, record: Grew | Landed | ProgramFinished) -> None:
        """Take in one of its records."""
        match record:
            case Grew(id=id):
                report = self._growth.report(record)
                self.happened.append(report)
                self._request(id.index).report = report
            case Landed(completion=completion):
                self._growth.forget(completion.id)
                self._land(record)
            case ProgramFinished():
                self.finished = record

    def _land(self, record: Landed) -> None:
        """A request that was made again after a resume ended twice: only its last end counts."""
        index = record.completion.id.index
        request = self._request(index)
        if request.landed is not None:
            self.happened.remove(request.landed.completion)
        request.landed = record
        self.happened.append(record.completion)
        self.requests[index] = self.requests.pop(index)

    def _request(self, index: int) -> PastRequest:
        return self.requests.setdefault(index, PastRequest(index))


@dataclass(slots=True)
class PastRun:
    """All programs of a run: what those that have answered came to, and what the others have cost.

    Attributes:
        finished: in the order in which they answered.
        unfinished: tokens by id, of the requests that have ended.
    """

    settings: Mapping[str, Setting]
    finished: dict[str, ProgramFinished] = field(default_factory=dict)
    unfinished: dict[str, int] = field(default_factory=dict)


def past_run(directory: Path) -> PastRun:
    """Read a run's journal.

    Raises:
        UsageError: if there is none, or it is damaged.
    """
    settings, records = _opened(directory)
    run = PastRun(settings)
    for record in records:
        match record:
            case ProgramFinished():
                run.finished[record.program] = record
                run.unfinished.pop(record.program, None)
            case Landed(completion=completion):
                known = run.unfinished.get(completion.id.program, 0)
                run.unfinished[completion.id.program] = known + (completion.tokens or 0)
            case Grew(id=id):
                run.unfinished.setdefault(id.program, 0)
    return run


def past_program(directory: Path, problem: str) -> PastProgram:
    """Read of a run's journal what belongs to one problem.

    Raises:
        UsageError: if there is no journal, it is damaged, or it knows no such problem; tells those of a similar id.
    """
    settings, records = _opened(directory)
    program, known = PastProgram(problem, settings), set[str]()
    for record in records:
        if isinstance(record, Grew | Landed | ProgramFinished):
            known.add(_program_of(record))
            if _program_of(record) == problem:
                program.take(record)
    if problem not in known:
        close = get_close_matches(problem, known, n=3)
        hint = f"did you mean {' or '.join(map(repr, close))}?" if close else f"dynasor show {directory} lists them"
        raise UsageError(f"no problem '{problem}' in {directory}; {hint}")
    return program


def past_programs(directory: Path) -> dict[str, PastProgram]:
    """Read of a run's journal all of its problems, each with everything that happened.

    Raises:
        UsageError: if there is no journal, or it is damaged.
    """
    settings, records = _opened(directory)
    programs: dict[str, PastProgram] = {}
    for record in records:
        if isinstance(record, Grew | Landed | ProgramFinished):
            id = _program_of(record)
            programs.setdefault(id, PastProgram(id, settings)).take(record)
    return programs


def _program_of(record: Grew | Landed | ProgramFinished) -> str:
    match record:
        case Grew(id=id):
            return id.program
        case Landed(completion=completion):
            return completion.id.program
        case ProgramFinished(program=program):
            return program


def _opened(directory: Path) -> tuple[Mapping[str, Setting], Iterator[Record]]:
    """The settings of the run, and the records behind them."""
    if not directory.is_dir():
        raise UsageError(f"no such directory: {directory}; name the directory of a run (its --out)")
    if not (directory / JOURNAL).is_file():
        raise UsageError(f"no {JOURNAL} in {directory}; name the directory of a run (its --out)")
    records = read_journal(directory / JOURNAL)
    first = next(records, None)
    if not isinstance(first, RunStarted):
        raise UsageError(f"{directory / JOURNAL} does not begin with the settings of a run; name the directory of one")
    return first.settings, records
