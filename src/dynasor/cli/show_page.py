"""What is shown on a terminal, as a page that needs nothing else."""

from collections.abc import Iterable
from html import escape
from io import StringIO
from pathlib import Path

from rich.console import Console, RenderableType

from dynasor.errors import UsageError

_WIDTH = 110
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>TITLE</title>
<style>
{stylesheet}
body {{ margin: 2rem auto; padding: 0 1rem; width: fit-content; max-width: 100%;
  color: #1f2328; background: #fff; }}
pre {{ overflow-x: auto; font: 14px/1.45 ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; }}
</style>
</head>
<body>
<pre><code>{code}</code></pre>
</body>
</html>
"""


def write_page(file: Path, title: str, shown: Iterable[RenderableType]) -> None:
    """Write it; whatever came out of a journal is escaped.

    Raises:
        UsageError: if the file cannot be written.
    """
    console = Console(
        record=True, file=StringIO(), width=_WIDTH, color_system="truecolor", force_terminal=True, highlight=False,
        markup=False, legacy_windows=False,
    )  # fmt: skip
    for part in shown:
        console.print(part)
    html = console.export_html(code_format=_PAGE.replace("TITLE", _braced(escape(title))))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(html, encoding="utf-8", errors="replace")
    except OSError as fault:
        raise UsageError(f"cannot write {file}: {fault.strerror or fault}; choose another --html") from fault


def _braced(text: str) -> str:
    """Rich fills the page, too: braces are doubled for it."""
    return text.replace("{", "{{").replace("}", "}}")
