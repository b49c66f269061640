"""Modules of this package that run in the interpreter of vLLM, in a process of their own, and print rows as JSON."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import msgspec

from dynasor.bench.vllm_options import ENVIRONMENT
from dynasor.errors import EngineError, UsageError

_QUIET = {
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # an engine with its model in one process, whose time can be told
}
_LAST = 300  # characters of what it says in the end

Row = TypeVar("Row", bound=msgspec.Struct)


def rows_inside(module: str, arguments: list[str], kind: type[Row]) -> Iterator[Row]:
    """What a module of this package, named in full, prints, row by row, as it comes.

    Raises:
        UsageError: there is no vLLM.
        EngineError: it failed; the message ends with its last words.
    """
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        raise UsageError(f"there is no vLLM in {ENVIRONMENT}; make it with scripts/vllm-environment")
    command = [str(python), "-m", module, *arguments]
    with TemporaryDirectory() as folder, (Path(folder) / "errors").open("w+b") as errors:
        with subprocess.Popen(command, env=os.environ | _QUIET, stdout=subprocess.PIPE, stderr=errors) as process:  # noqa: S603
            yield from (msgspec.json.decode(line, type=kind) for line in process.stdout or ())
        if process.returncode:
            errors.seek(0)
            told = errors.read().decode(errors="replace").strip()[-_LAST:]
            raise EngineError(f"measuring {arguments[0]} inside vLLM failed: ...{told}", retryable=False)
