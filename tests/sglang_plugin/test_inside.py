"""The tests of the folder `inside`, run where SGLang's scheduler can be imported."""

import os
import subprocess
from pathlib import Path

import pytest

from support.sglang_server import ENVIRONMENT

INSIDE = Path(__file__).with_name("inside")

pytestmark = [pytest.mark.sglang, pytest.mark.slow]


@pytest.mark.parametrize("file", sorted(INSIDE.glob("test_*.py")), ids=lambda file: file.stem)
def test_inside_sglang(file: Path) -> None:
    python = ENVIRONMENT / "bin" / "python"
    if not (ENVIRONMENT / ".ready").exists() and not os.environ.get("CI"):
        pytest.skip(f"there is no {ENVIRONMENT.name}; make it with scripts/sglang-environment")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV_", "DYNASOR_"))}
    environ = kept | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [str(python), "-m", "pytest", "-c", str(INSIDE / "inside.ini"), str(file)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True)
    last = done.stdout.strip().rpartition("\n")[2]
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in last, last
    assert "skipped" not in last, last
