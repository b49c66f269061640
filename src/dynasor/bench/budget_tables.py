"""The page and the lines of the study of token budgets."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from dynasor.bench.budget_study import AT_A_TIME, BudgetRow
from dynasor.bench.policy_tables import percent

INTRODUCTION = f"""# One token budget for a batch

`dynasor run --token-budget` against other ways to spend as many tokens on the same problems and the same branches:
even allocation at a lower cap, and policies that look at one program at a time. The budget is what the other way took,
separately under every order of the samples; *its own* is the budget's; {AT_A_TIME} programs run at a time. Brackets
are 95 % intervals: paired bootstrap over problems, 1000 draws, orders averaged within a problem. **Bold** where the
interval leaves zero out. Branches that are in flight when the budget is spent come on top of it: on few problems and
small budgets that is much (a tenth, with 100 problems and three branches each), and no longer equal.
"""


def write_budget(rows: Sequence[BudgetRow], origin: Mapping[str, object], directory: Path, page: Path) -> None:
    """`rows.jsonl`, whose first line tells where it came from, and the page."""
    directory.mkdir(parents=True, exist_ok=True)
    page.parent.mkdir(parents=True, exist_ok=True)
    lines = [dict(origin), *(msgspec.to_builtins(row) for row in rows)]
    (directory / "rows.jsonl").write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    page.write_text("\n".join(budget_page(rows, origin)) + "\n", encoding="utf-8")


def budget_page(rows: Sequence[BudgetRow], origin: Mapping[str, object]) -> Iterator[str]:
    """The lines of the page."""
    yield INTRODUCTION
    yield from (f"- {name}: `{value}`" for name, value in origin.items())
    yield "\n| recording | problems | cap | against | tokens | its own | accuracy % | its own | gained, points |"
    yield "|---|---|---|---|---|---|---|---|---|"
    yield from map(_line, rows)


def _line(row: BudgetRow) -> str:
    bold = "**" * (row.gained.low > 0 or row.gained.high < 0)
    cells = [
        row.recording,
        row.problems,
        row.cap,
        f"`{row.against}`" if ":" in row.against else row.against,
        f"{row.tokens:.1f}",
        f"{row.budget_tokens:.1f}",
        percent(row.accuracy, digits=1),
        percent(row.budget_accuracy, digits=1),
        f"{bold}{percent(row.gained, digits=2, sign='+')}{bold}",
    ]
    return f"| {' | '.join(map(str, cells))} |"
