"""How little is installed, and that nothing calls home: neither at import nor when a gateway judges its settings."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from dynasor.gateway.keys import hash_of
from support.gateways import KEY

PROJECT = Path(__file__).parents[2] / "pyproject.toml"
MOST_CORE, MOST_GATEWAY = 25, 32
WATCH = """
import sys
def watch(event, given):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.bind", "urllib.Request"):
        raise SystemExit(f"{event} {given[1:]}")
sys.addaudithook(watch)
"""
IMPORTS = """
import pkgutil
from importlib import import_module
import dynasor.gateway, dynasor.launch
for room in (dynasor.gateway, dynasor.launch):
    for module in pkgutil.walk_packages(room.__path__, room.__name__ + "."):
        import_module(module.name)
"""


def installed(*extras: str) -> set[str]:
    """The names of all that an installation with these extras brings on this system."""
    project = tomllib.loads(PROJECT.read_text())["project"]
    waiting = [Requirement(line) for line in project["dependencies"]]
    waiting += [Requirement(line) for extra in extras for line in project["optional-dependencies"][extra]]
    found: set[str] = set()
    while waiting:
        one = waiting.pop()
        name = re.sub(r"[-_.]+", "-", one.name).lower()
        found.add(name)
        waiting += [further for further in wanted_by(one) if further.name.lower() not in found]
    return found


def wanted_by(one: Requirement) -> list[Requirement]:
    """What a package here wants on this system, with the extras that it is asked for."""
    try:
        told = [Requirement(line) for line in requires(one.name) or []]
    except PackageNotFoundError:
        pytest.fail(f"{one.name} is not installed here; make test sets it up")
    asked = ("", *one.extras)
    return [each for each in told if each.marker is None or any(each.marker.evaluate({"extra": e}) for e in asked)]


def ran(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process that ends at the first attempt to reach a network."""
    command = [sys.executable, "-c", WATCH + code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_few_packages_are_installed() -> None:
    assert {"aiohttp", "msgspec", "rich", "click", "yarl"} <= installed()
    assert len(installed()) <= MOST_CORE, sorted(installed())
    assert {"uvicorn", "uvloop"} <= installed("gateway")
    assert len(installed("gateway")) <= MOST_GATEWAY, sorted(installed("gateway"))


@pytest.mark.slow
def test_what_watches_the_network_does() -> None:
    done = ran("import urllib.request; urllib.request.urlopen('http://127.0.0.1:9/')")
    assert done.returncode == 1
    assert "urllib.Request" in done.stderr
    assert ran("import socket; socket.create_connection(('127.0.0.1', 9))").stderr.startswith("socket.")


@pytest.mark.slow
def test_nothing_calls_home_at_import() -> None:
    done = ran(IMPORTS)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_a_gateway_judges_its_settings_without_a_network(tmp_path: Path) -> None:
    settings = tmp_path / "gateway.toml"
    settings.write_text(
        f'[[backends]]\nurl = "http://backend.example/v1"\n\n[[tenants]]\nname = "a"\nkey_hashes = ["{hash_of(KEY)}"]\n'
    )
    done = ran("from dynasor.cli import main; main()", "serve", "--check", "--config", str(settings))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "the settings are sound: 1 backend, 1 tenant\n"
