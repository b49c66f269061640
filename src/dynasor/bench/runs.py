"""One run as its journal tells it: settings, and a result for every finished problem. Knows no other run."""

import shlex
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec

from dynasor.answers.equivalence import normal_form
from dynasor.datasets.files import file_digest
from dynasor.errors import UsageError
from dynasor.journal.journal import JOURNAL, read_journal
from dynasor.journal.records import ProgramFinished, RunStarted, Setting


class Result(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one program came to; a report over many seeds holds hundreds of thousands of these.

    Attributes:
        question: a hash of the question, equal for equal questions within one process; None where it was not recorded.
        answer: its normal form, so that two spellings of an answer are no difference.
        correct: in [0, 1]; None where there is no right answer to judge by.
    """

    question: int | None
    answer: str | None
    correct: float | None
    certaindex: float
    knob: int
    tokens: int
    even_tokens: float
    even_recorded: bool
    latency_s: float
    stopped_by: str


@dataclass(frozen=True, eq=False)  # no slots: `journal_digest` is kept in the instance
class Run:
    """A run: where it lies, what was asked for, and the results by problem id."""

    path: Path
    settings: dict[str, Setting]
    results: dict[str, Result]

    @property
    def name(self) -> str:
        """The name of its directory."""
        return self.path.name or self.path.resolve().name

    @property
    def seed(self) -> Setting:
        """What its draws were seeded with; None where that is not recorded."""
        return self.settings.get("seed")

    @property
    def is_replay(self) -> bool:
        """Whether a recording answered, so that its times are those of the replay and tell nothing of a model."""
        return self.settings.get("trace") is not None

    @cached_property
    def journal_digest(self) -> str:
        """Hexadecimal SHA-256 of its journal, by which a replay of this run knows it; read at first use."""
        return file_digest(self.path / JOURNAL)


def load_run(path: Path) -> Run:
    """Read the run that lies in a directory; of a problem that was finished twice the later result holds.

    Raises:
        UsageError: if there is no such directory, no journal in it, or no finished problem in the journal.
    """
    journal = _journal_in(path)
    started: RunStarted | None = None
    results: dict[str, Result] = {}
    for record in read_journal(journal):
        match record:
            case RunStarted():
                started = started or record
            case ProgramFinished():
                results[record.program] = _result(record)
    if not results:
        raise UsageError(f"{path} has no finished problem yet; resume it with {_command(started)}")
    if started is None:
        raise UsageError(f"{journal} does not begin with the settings of a run; name the directory of a run")
    return Run(path, started.settings, results)


def _journal_in(path: Path) -> Path:
    if not path.exists():
        raise UsageError(f"no such directory: {path}; name the directory of a run (its --out)")
    if not path.is_dir():
        raise UsageError(f"{path} is a file; name the directory that holds the run's {JOURNAL}")
    if not (path / JOURNAL).exists():
        inner = sorted(shlex.quote(str(journal.parent)) for journal in path.glob(f"*/{JOURNAL}"))
        hint = f"it holds runs, name those: {' '.join(inner[:3])}{' ...' * (len(inner) > 3)}" if inner else ""
        raise UsageError(f"no {JOURNAL} in {path}; {hint or 'name the directory of a run (its --out)'}")
    return path / JOURNAL


def _command(started: RunStarted | None) -> str:
    words = _words(str(started.circumstances.get("command") or "")) if started else []
    if not words:
        return "the command that began it"
    ours = Path(words[0]).name in ("dynasor", "__main__.py")
    return shlex.join(["dynasor" if ours else words[0], *words[1:]])


def _words(command: str) -> list[str]:
    """The words of a command line as a shell reads them; of one that no shell would read, whatever blanks separate."""
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()


def _result(record: ProgramFinished) -> Result:
    question = " ".join(record.question.split())
    return Result(
        question=hash(question) if question else None,
        answer=None if record.answer is None else normal_form(record.answer),
        correct=record.correct,
        certaindex=record.certaindex,
        knob=record.knob,
        tokens=record.tokens,
        even_tokens=record.even_tokens,
        even_recorded=record.even_recorded,
        latency_s=record.latency_s,
        stopped_by=record.stopped_by,
    )
