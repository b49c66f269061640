"""`dynasor serve` before it serves: keys, settings, and what is wrong with them."""

import re
import socket
import sys
import tomllib
from hashlib import sha256
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dynasor.cli import main
from dynasor.gateway.settings import read_settings

URL = "http://localhost:8000/v1"


def serve(*arguments: str, **environ: str) -> Result:
    return CliRunner().invoke(main, ["serve", *arguments], env=environ)


def test_a_new_key_is_shown_once_with_the_lines_for_the_file(tmp_path: Path) -> None:
    result = serve("--new-key", "team-a")
    assert result.exit_code == 0
    key = re.search(r"sk-dynasor-\S+", result.output)
    assert key is not None
    lines = result.output[result.output.index("[[tenants]]") :]
    assert tomllib.loads(lines)["tenants"] == [{"name": "team-a", "key_hashes": [sha256(key[0].encode()).hexdigest()]}]
    file = tmp_path / "gateway.toml"
    file.write_text(lines)
    checked = serve("--check", "--config", str(file), "--backend", URL, "--host", "0.0.0.0")
    assert checked.output == "the settings are sound: 1 backend, 1 tenant\n"
    assert serve("--new-key", "a/b").exit_code != 0


def test_options_go_before_the_environment_and_that_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text("port = 1\nrunning = -1\n")
    assert "running" in serve("--check", "--config", str(file)).output
    checked = serve("--check", DYNASOR_CONFIG=str(file), DYNASOR_RUNNING="5", DYNASOR_BACKENDS=f"{URL},http://b:1")
    assert checked.output == "the settings are sound: 2 backends, 0 tenants\n"
    assert "running" in serve("--check", "--running", "0", DYNASOR_RUNNING="5").output
    assert read_settings(file, {"running": 3}).port == 1


@pytest.mark.parametrize(
    ("arguments", "environ", "told"),
    [
        (["--host", "0.0.0.0"], {}, "there are no keys"),
        (["--backend", "nowhere"], {}, "'nowhere' is not the address of a server"),
        (["--backend", URL, "--backend", URL], {}, "is given twice"),
        (["--backend", URL, "--model", "builtin"], {}, "leave it out, or --backend"),
        (["--ordering", "fastest", "--backend", URL], {}, "unknown ordering 'fastest'"),
        (["--port", "99999"], {}, "port is 99999"),
        (["--config", "none.toml"], {}, "cannot read none.toml"),
        (["--backend", URL], {"DYNASOR_API_KEY": "sk-1234"}, "must have 32 or more"),
        (["--backend", URL], {"OPENAI_API_KEY": "a\nb"}, "no HTTP header may hold"),
    ],
)
def test_what_cannot_be_is_one_line(arguments: list[str], environ: dict[str, str], told: str) -> None:
    result = serve(*arguments, **environ)
    assert result.exit_code == 2
    assert told in result.output
    assert result.output.count("\n") == 1
    assert serve("--check", *arguments, **environ).exit_code == 2, "a check finds it too"


def test_a_key_in_the_environment_opens_it_to_other_machines() -> None:
    key = "k" * 40
    result = serve("--check", "--host", "0.0.0.0", "--backend", URL, DYNASOR_API_KEY=key)
    assert result.output == "the settings are sound: 1 backend, 1 tenant\n"


def test_a_port_in_use_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = serve("--backend", "http://127.0.0.1:9/v1", "--port", port)
    assert (result.exit_code, result.output) == (
        1, f"dynasor: cannot listen at 127.0.0.1:{port}; is the port in use?\n",
    )  # fmt: skip


def test_without_the_extra_it_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "dynasor.gateway.listening", raising=False)
    result = serve("--backend", URL)
    told = "dynasor: dynasor serve needs an extra: pip install 'dynasor-serve[gateway]'\n"
    assert (result.exit_code, result.output) == (2, told)


def test_the_help_is_quick_to_read() -> None:
    told = serve("--help").output
    for word in ("--backend", "--config", "--new-key", "DYNASOR_API_KEY", "docs/gateway.md"):
        assert word in told
