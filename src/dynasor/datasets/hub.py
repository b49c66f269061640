"""Rows of a data set on Hugging Face, streamed. Knows the name's form and one library; knows nothing of problems."""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from dynasor.datasets.extras import optional
from dynasor.datasets.rows import Row
from dynasor.errors import EngineError, UsageError

SCHEME = "hf:"

_SOURCE = re.compile(r"hf:(?P<name>[^/:]+/[^/:]+)(?:/(?P<config>[^/:]+))?:(?P<split>[^:\[\]]+)")


class Split(NamedTuple):
    """One split of one data set; `config` is None for the data set's default one."""

    name: str
    config: str | None
    split: str


class Loaded(NamedTuple):
    """A split at one revision, and its rows from the beginning."""

    revision: str
    rows: Iterable[Mapping[str, object]]


Loader = Callable[[Split], Loaded]


def stream(split: Split) -> Loaded:
    """Stream a split at its newest revision with the `datasets` library."""
    purpose = f"reading {SCHEME}{split.name}"
    datasets = optional("datasets", purpose, "hub")
    revision = optional("huggingface_hub", purpose, "hub").HfApi().dataset_info(split.name).sha
    rows = datasets.load_dataset(split.name, split.config, split=split.split, revision=revision, streaming=True)
    return Loaded(revision, rows)


class HubRows:
    """The rows of one split, streamed anew at every iteration; a row's `line` is its number."""

    def __init__(self, source: str, load: Loader = stream) -> None:
        match = _SOURCE.fullmatch(source)
        if match is None:
            raise UsageError(f"'{source}' is not of the form hf:OWNER/NAME:SPLIT or hf:OWNER/NAME/CONFIG:SPLIT")
        self.source = source
        self._split = Split(match["name"], match["config"], match["split"])
        self._load = load

    @property
    def name(self) -> str:
        """OWNER/NAME."""
        return self._split.name

    def __iter__(self) -> Iterator[Row]:
        try:
            for number, values in enumerate(self._load(self._split).rows, 1):
                yield Row(self.source, number, values)
        except (OSError, ValueError) as fault:
            raise self._translated(fault) from fault

    def digest(self) -> str:
        """Hexadecimal SHA-256 of the split's name and its revision: the hub tells no bytes."""
        try:
            revision = self._load(self._split).revision
        except (OSError, ValueError) as fault:
            raise self._translated(fault) from fault
        return hashlib.sha256(f"{self.source}@{revision}".encode()).hexdigest()

    def _translated(self, fault: OSError | ValueError) -> UsageError | EngineError:
        """An unknown name, configuration or split is the user's fault; anything else the network's."""
        message = f"cannot read {self.source}: {str(fault).partition(chr(10))[0]}"
        response = getattr(fault, "response", None)  # that of the HTTP library, where the hub answered
        refused = 400 <= getattr(response, "status_code", 0) < 500
        if refused or isinstance(fault, ValueError | FileNotFoundError):
            return UsageError(message)
        return EngineError(message, retryable=True)
