"""Makes `training`, which is a folder of the repository and not of the package, importable."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))
