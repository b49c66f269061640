"""Stores of both kinds, empty."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.batch_files import store_of
from support.postgres_server import PostgresServer, postgres_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def store_setting(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """What names an empty store, as in the settings of a gateway."""
    if request.param == "sqlite":
        return store_of(tmp_path)
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.empty()
