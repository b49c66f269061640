"""A PostgreSQL server of the tests' own, in a temporary folder, which only a socket in that folder leads to."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import psycopg
import pytest

_NOBODY = "nobody"  # PostgreSQL refuses to run as root


class PostgresServer:
    """The server; every database that is asked of it is empty."""

    def __init__(self, folder: Path) -> None:
        self._base = f"postgresql://{_NOBODY}@/postgres?host={folder}"
        self._numbers = count(1)

    def empty(self) -> str:
        """The address of a schema in which there is nothing."""
        name = f"test_{next(self._numbers)}"
        with psycopg.connect(self._base, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}".encode())
        return f"{self._base}&options=-csearch_path%3D{name}"


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Start it; skips the test where there is no PostgreSQL, save in CI."""
    programs = _programs()
    if programs is None:
        told = "there is no PostgreSQL here (Debian: apt-get install postgresql)"
        if os.environ.get("CI") == "true":
            pytest.fail(told)
        pytest.skip(told)
    folder = Path(mkdtemp(prefix="dynasor-pg-", dir="/tmp"))  # the path of a socket must be short
    try:
        if os.getuid() == 0:
            shutil.chown(folder, _NOBODY)
        options = ("-D", folder / "db", "-U", _NOBODY, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        subprocess.run([programs / "initdb", *options], check=True, capture_output=True, **_as_nobody())
        process = _started(programs, folder)
        try:
            yield PostgresServer(folder)
        finally:
            process.send_signal(signal.SIGINT)  # at once: what a failed test has left open would be waited for
            process.communicate()
    finally:
        shutil.rmtree(folder)


def _started(programs: Path, folder: Path) -> "subprocess.Popen[str]":
    settings = ("fsync=off", "listen_addresses=", f"unix_socket_directories={folder}", "log_min_messages=log",
                "log_checkpoints=off", "max_connections=50")  # fmt: skip
    command: list[str | Path] = [programs / "postgres", "-D", folder / "db", *(f"--{setting}" for setting in settings)]
    process: subprocess.Popen[str] = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **_as_nobody())
    assert process.stderr is not None
    told = ""
    while "ready to accept connections" not in told:
        line = process.stderr.readline()
        assert line, told
        told += line
    return process


def _programs() -> Path | None:
    installed = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), _on_path()]
    return next((folder for folder in installed if folder is not None and (folder / "initdb").exists()), None)


def _on_path() -> Path | None:
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def _as_nobody() -> dict[str, Any]:
    return {"user": _NOBODY, "group": "nogroup", "extra_groups": []} if os.getuid() == 0 else {}
