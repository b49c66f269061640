"""The command line, run as its users do: a process of its own."""

import subprocess
import sys
from pathlib import Path


def start(*arguments: object, cwd: Path) -> "subprocess.Popen[str]":
    """Start `dynasor` with these arguments."""
    command = [sys.executable, "-m", "dynasor", *map(str, arguments)]
    return subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: "subprocess.Popen[str]", timeout_s: float = 300) -> tuple[int, str, str]:
    """Its exit code, standard output and standard error."""
    out, err = process.communicate(timeout=timeout_s)
    return process.returncode, out, err
