"""Make a recording that ships with the package: `python scripts/pack_recording.py TRACE PACKED.jsonl.gz`.

Keeps what a replay needs of each question and sample, and writes the same bytes for the same trace. The trace is one
that `dynasor.datasets.recordings` reads; where the shipped one comes from is told in the NOTICE beside it.
"""

import gzip
import sys
from pathlib import Path
from typing import Any

import msgspec

from dynasor.datasets.tables import json_objects

QUESTION_FIELDS = ("id", "question", "gold")
SAMPLE_FIELDS = ("answer", "tokens", "correct", "text")


def packed(question: dict[str, Any]) -> bytes:
    """One line of the shipped trace."""
    kept = {field: question[field] for field in QUESTION_FIELDS}
    samples = [{field: sample[field] for field in SAMPLE_FIELDS} for sample in question["samples"]]
    return msgspec.json.encode(kept | {"samples": samples}) + b"\n"


def pack(trace: Path, target: Path) -> None:
    """Write the packed trace, without a file name or a time in it."""
    decoder = msgspec.json.Decoder(dict[str, Any])
    with (
        target.open("wb") as file,
        gzip.GzipFile("", "wb", compresslevel=9, fileobj=file, mtime=0) as compressed,
    ):
        for _, question in json_objects(trace, decoder):
            compressed.write(packed(question))


if __name__ == "__main__":
    pack(Path(sys.argv[1]), Path(sys.argv[2]))
