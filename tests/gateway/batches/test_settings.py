"""What is told of a store before anything is served."""

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from dynasor.cli import main
from dynasor.errors import MissingExtra
from dynasor.gateway.batches.store import store_at
from dynasor.gateway.settings import read_settings
from dynasor.launch.serving import prepare
from support.batch_files import store_of

BACKEND = "http://localhost:1"


@pytest.mark.parametrize(
    ("store", "code", "told"),
    [
        ("sqlite:batches.sqlite", 0, "the settings are sound"),
        ("mysql://db", 2, "the batch store is a 'mysql'"),
        ("sqlite:", 2, "has no file"),
        ("postgresql://db/x?nonsense=1", 2, "no postgresql://USER@HOST/DATABASE that can be read"),
    ],
)
def test_a_store_is_judged_and_not_opened(
    store: str, code: int, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["serve", "--check", "--backend", BACKEND, "--batch-store", store])
    assert (result.exit_code, told in result.output) == (code, True), result.output
    assert list(tmp_path.iterdir()) == []


def test_the_option_goes_before_the_file_and_leaves_the_rest_of_it(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text('[batches]\nstore = "sqlite:a"\nconcurrency = 5\n')
    settings = read_settings(file, {"batches": {"store": "sqlite:b"}}).batches
    assert (settings.store, settings.concurrency) == ("sqlite:b", 5)
    assert read_settings(file, {"batches": None}).batches.store == "sqlite:a"


def test_what_is_not_installed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("form", "file_routes", "batch_routes", "postgres"):
        monkeypatch.delitem(sys.modules, f"dynasor.gateway.batches.{name}", raising=False)
    for name in ("python_multipart.exceptions", "psycopg"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtra, match=r"dynasor-serve\[postgres\]"):
        store_at("postgresql://db/x")
    told = {"backends": [{"url": BACKEND}], "batches": {"store": store_of(tmp_path)}}
    with pytest.raises(MissingExtra, match=r"a batch store needs an extra: pip install 'dynasor-serve\[gateway\]'"):
        prepare(read_settings(None, told), {})
