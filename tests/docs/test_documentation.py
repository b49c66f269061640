"""Every command and program in the documentation is run, against a real server and in a folder of its own."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from dynasor.cli import main
from support.faulty_server import FaultyServer

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SERVER = "http://localhost:8000"


def blocks(kind: str) -> Iterator[object]:
    for page in PAGES:
        for place, match in enumerate(BLOCK.finditer(page.read_text(encoding="utf-8"))):
            if match[1] == kind:
                yield pytest.param(match[2], id=f"{page.name}-{place}")


@pytest.fixture(scope="module")
def server() -> Iterator[FaultyServer]:
    with FaultyServer() as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "problems.jsonl").write_text(
        '{"question": "1 + 1?", "answer": "2"}\n{"question": "2?", "answer": "3"}\n'
    )
    (tmp_path / "exam.csv").write_text("task,key\n1 + 1?,2\n")
    (tmp_path / "prompt.txt").write_text("{question} Answer with a letter.")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("block", list(blocks("sh")))
def test_every_command_works(block: str, folder: Path, server: FaultyServer) -> None:
    for line in block.splitlines():
        words = shlex.split(line.replace(SERVER, server.url), comments=True)
        match words:
            case []:
                pass
            case ["dynasor", *arguments]:
                result = CliRunner().invoke(main, arguments)
                assert result.exit_code == 0, (line, result.output)
            case ["make", *targets]:
                rules = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
                assert set(targets) <= set(rules), line
            case ["pip", "install", wanted]:
                assert_installable(wanted)
            case [".venv/bin/pre-commit", "install"]:
                assert (ROOT / ".pre-commit-config.yaml").is_file()
            case _:
                pytest.fail(f"nobody checks this line: {line}")


def assert_installable(wanted: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    name, _, extras = wanted.rstrip("]").partition("[")
    assert name == project["name"]
    assert set(extras.split(",")) <= project["optional-dependencies"].keys()


@pytest.mark.slow
@pytest.mark.parametrize("block", list(blocks("python")))
def test_every_program_works(block: str, folder: Path, server: FaultyServer) -> None:
    exec(compile(block.replace(SERVER, server.url), "documentation", "exec"), {"__name__": "documentation"})


def test_links_within_the_documentation_lead_somewhere() -> None:
    for page in PAGES + sorted((ROOT / "docs" / "decisions").glob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_policies_and_extras_are_documented() -> None:
    from dynasor.answers.extract import EXTRACTORS
    from dynasor.wiring import POLICIES

    policies = (ROOT / "docs" / "policies.md").read_text()
    guide = (ROOT / "docs" / "guide.md").read_text()
    assert [name for name in POLICIES if f"| `{name}" not in policies] == []
    assert [name for name in EXTRACTORS if f"`{name}`" not in guide] == []
