"""Where the journals of the study of algorithms lie: those of live runs, and the packed ones that are kept for good.

A packed journal stands for its run: where there is no run, it is unpacked, and the run is as it was when it was packed.
It does not know what is in a journal, save which problems it has finished.
"""

import lzma
import shutil
from collections.abc import Iterable
from os import SEEK_END
from pathlib import Path

from dynasor.errors import UsageError
from dynasor.journal.journal import JOURNAL, read_journal
from dynasor.journal.records import ProgramFinished, RunStarted

_PACKED = ".jsonl.xz"


class Journals:
    """The journals of one study, by engine and arm.

    Attributes:
        directory: of the study. Runs lie in `runs/`, which git leaves out, packed journals in `journals/`.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def run(self, engine: str, arm: str) -> Path:
        """The directory of a run; where there is a packed journal and no run, it is unpacked."""
        run = self.directory / "runs" / engine / arm
        packed = self._packed(engine, arm)
        if packed.exists() and not (run / JOURNAL).exists():
            run.mkdir(parents=True, exist_ok=True)
            draft = run / f"{JOURNAL}.partial"
            with lzma.open(packed) as source, draft.open("wb") as target:
                shutil.copyfileobj(source, target)
            draft.replace(run / JOURNAL)
        return run

    def has_finished(self, engine: str, arm: str, problems: Iterable[str], seed: int) -> bool:
        """Whether a run has answered these problems.

        Raises:
            UsageError: it was made with another seed.
        """
        journal = self.run(engine, arm) / JOURNAL
        if not journal.exists():
            return False
        finished = set()
        for record in read_journal(journal):
            if isinstance(record, RunStarted) and record.settings.get("seed") != seed:
                told = f"{journal} was made with seed {record.settings.get('seed')}, not {seed}"
                raise UsageError(f"{told}; give that seed, or another --out")
            if isinstance(record, ProgramFinished):
                finished.add(record.program)
        return finished.issuperset(problems)

    def journal(self, engine: str, arm: str) -> Path:
        """The journal of a run that has been made."""
        return self.run(engine, arm) / JOURNAL

    def pack(self, engine: str, arm: str) -> None:
        """Pack a run's journal, if it has grown since it was packed."""
        packed, journal = self._packed(engine, arm), self.journal(engine, arm)
        if packed.exists() and _length(packed) == journal.stat().st_size:
            return
        packed.parent.mkdir(parents=True, exist_ok=True)
        draft = packed.with_suffix(".partial")
        with journal.open("rb") as source, lzma.open(draft, "wb") as target:
            shutil.copyfileobj(source, target)
        draft.replace(packed)

    def _packed(self, engine: str, arm: str) -> Path:
        return self.directory / "journals" / engine / f"{arm}{_PACKED}"


def _length(packed: Path) -> int:
    """Of what is packed, in bytes."""
    with lzma.open(packed) as file:
        return file.seek(0, SEEK_END)
