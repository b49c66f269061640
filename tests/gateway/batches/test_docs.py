"""The programs of the page about batches work, one after the other, and the settings there are the defaults."""

import re
import tomllib
from dataclasses import asdict
from pathlib import Path

import pytest

from dynasor.clock import WallClock
from dynasor.gateway.batches.settings import BatchSettings
from dynasor.gateway.settings import read_settings
from dynasor.launch.serving import prepare
from support.batch_files import store_of
from support.faulty_server import FaultyServer
from support.gateway_threads import in_thread

PAGE = (Path(__file__).parents[3] / "docs" / "batches.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"^```py\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_the_programs_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begin, look = PROGRAMS
    names: dict[str, object] = {}
    with FaultyServer() as backend:
        told = {"port": 0, "backends": [{"url": backend.url}], "batches": {"store": store_of(tmp_path)}}
        with in_thread(prepare(read_settings(None, told), {})) as here:
            exec(begin.replace("http://localhost:8080", here.url), names)
            assert capsys.readouterr().out.endswith(" validating\n")
            clock = WallClock()
            deadline = clock.now() + 60
            while "completed Batch" not in (out := _run(look, names, capsys)):
                assert clock.now() < deadline, out
    answers = out.splitlines()[1:]
    assert [answer.partition(" ")[0] for answer in answers] == ["question-0", "question-1", "question-2"]
    assert all("The answer is" in answer for answer in answers)


def _run(program: str, names: dict[str, object], capsys: pytest.CaptureFixture[str]) -> str:
    exec(program, names)
    return capsys.readouterr().out


def test_the_settings_are_the_defaults() -> None:
    (block,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert tomllib.loads(block)["batches"] == asdict(BatchSettings())
    assert "--batch-store" in PAGE
