"""Where the study of signals reads from: traces, runs of even allocation, and packed journals of such runs.

It adds to a recording what only a journal tells of a branch: the confidence of its lowest group of tokens. It does not
know what a signal is.
"""

import lzma
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from dynasor.datasets.files import bare_name
from dynasor.datasets.problem import Recording
from dynasor.datasets.recordings import read_recordings
from dynasor.errors import UsageError
from dynasor.journal.journal import JOURNAL, read_journal
from dynasor.journal.records import Landed, RunStarted

_PACKED = ".jsonl.xz"
_TRACES = "*.jsonl*"
_BUILTIN = "policy"  # what the built-in model is called in traces and by its files

Lowest = Mapping[str, Sequence[float]]
"""By problem, the lowest group's mean log-probability of each sample; no entry where one of them is not known."""


@dataclass(frozen=True, slots=True)
class Source:
    """What one name on the command line holds.

    Attributes:
        by_builtin: whether the built-in model answered: a run says so, and a trace by its model.
    """

    name: str
    recordings: Sequence[Recording]
    lowest: Lowest = field(default_factory=dict)
    by_builtin: bool = False


def sources_in(named: Sequence[Path]) -> list[Path]:
    """The files and runs that were named; of a folder, all traces in it.

    Raises:
        UsageError: there is no such file, or nothing in a folder.
    """
    found: list[Path] = []
    for path in named:
        is_folder = path.is_dir() and not (path / JOURNAL).exists()
        inside = sorted(path.glob(_TRACES)) if is_folder else [path]
        if not inside or not inside[0].exists():
            raise UsageError(f"no such recording: {path}; name traces, folders of them, or runs of even allocation")
        found += inside
    return found


def name_of(path: Path) -> str:
    """What a recording is called in tables: a run by the last two folders, as many runs share a last name."""
    if path.is_dir():
        return "/".join(path.resolve().parts[-2:])
    if path.name.endswith(_PACKED):
        return f"{path.resolve().parent.name}/{path.name.removesuffix(_PACKED)}"
    name = bare_name(path)
    return f"{path.resolve().parent.name}/{name}" if name == "samples" else name


def read_source(path: Path) -> Source:
    """Read a recording whole.

    Raises:
        UsageError: it is none, or not one of independent samples.
    """
    if path.name.endswith(_PACKED):
        with TemporaryDirectory() as folder:
            _unpack(path, Path(folder))
            return _read(Path(folder), name_of(path))
    return _read(path, name_of(path))


def _read(path: Path, name: str) -> Source:
    recordings = list(read_recordings(str(path)))
    if not path.is_dir():
        return Source(name, recordings, by_builtin=all(r.problem.id.startswith(f"{_BUILTIN}/") for r in recordings))
    return Source(name, recordings, _lowest(path / JOURNAL), _by_builtin(path / JOURNAL))


def _by_builtin(journal: Path) -> bool:
    first = next(read_journal(journal), None)
    model = first.settings.get("model") if isinstance(first, RunStarted) else None
    return Path(str(model)).name.startswith(_BUILTIN)


def _unpack(path: Path, folder: Path) -> None:
    try:
        with lzma.open(path) as source, (folder / JOURNAL).open("wb") as target:
            shutil.copyfileobj(source, target)
    except (OSError, EOFError, lzma.LZMAError) as fault:
        raise UsageError(f"cannot unpack {path}: {fault}; name a journal packed as .jsonl.xz") from fault


def _lowest(journal: Path) -> Lowest:
    """In the order of a recording's samples: by the branch's number, whole branches alone."""
    found: defaultdict[str, dict[int, float | None]] = defaultdict(dict)
    for landed in _whole(journal):
        found[landed.completion.id.program][landed.completion.id.index] = landed.completion.lowest_logprob
    ordered = {program: [by_index[index] for index in sorted(by_index)] for program, by_index in found.items()}
    return {
        program: [value for value in values if value is not None]
        for program, values in ordered.items()
        if None not in values
    }


def _whole(journal: Path) -> Iterator[Landed]:
    for record in read_journal(journal):
        if isinstance(record, Landed) and record.completion.finish.is_whole:
            yield record
