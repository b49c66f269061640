"""What stands in for packages that SGLang imports and a server on the CPU does without (scripts/sglang_absent.py)."""

import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parents[2] / "scripts"


def test_absent_packages_can_be_imported_and_inherited_from_but_not_called() -> None:
    program = """
import sglang_absent
import sgl_kernel.moe
from torchvision.transforms import Compose, v2

class Own(v2.Transform):
    pass

try:
    Compose([])
except RuntimeError as fault:
    print(fault)
try:
    import neither_this_nor_that
except ModuleNotFoundError:
    print("others are missed as ever")
"""
    told = subprocess.run(
        [sys.executable, "-S", "-c", program], cwd=SCRIPTS, capture_output=True, text=True, check=True
    )
    first, second = told.stdout.splitlines()
    assert first.startswith("torchvision.transforms.Compose is not installed here")
    assert second == "others are missed as ever"
