"""The rows of the study of algorithms as lines of JSON and as Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from dynasor.bench.algorithm_rows import AlgorithmRow
from dynasor.bench.wording import NOTHING, amount, count, percent, points, seconds

FIGURE = "accuracy-against-tokens.png"
_HEADER = "| algorithm | cap | accuracy | tokens a problem | against sc, points | certaindex | knob | latency |"
_RULE = "|---|---|---|---|---|---|---|---|"


def write_algorithms(rows: Sequence[AlgorithmRow], origin: Mapping[str, object], directory: Path) -> None:
    """`rows.jsonl`, whose first line tells where it came from, and `README.md`."""
    directory.mkdir(parents=True, exist_ok=True)
    lines = [msgspec.json.encode(line) + b"\n" for line in (dict(origin), *rows)]
    (directory / "rows.jsonl").write_bytes(b"".join(lines))
    (directory / "README.md").write_text("\n".join(_page(rows, origin)) + "\n", encoding="utf-8")


def gained(row: AlgorithmRow) -> str:
    """The difference to self-consistency, in points; a dash where there is none to tell."""
    return points(row.gained) if row.gained else NOTHING


def _page(rows: Sequence[AlgorithmRow], origin: Mapping[str, object]) -> Iterable[str]:
    yield "# Accuracy against tokens, algorithm by algorithm\n"
    yield "The built-in model answers held-out built-in problems live, under even allocation but for `probed-cot`."
    yield "Brackets are 95 % intervals, Wilson's for accuracies, else by bootstrap over problems. *against sc*: the"
    yield "difference to self-consistency at as many tokens, on a straight line between its caps, problem by problem;"
    yield "a dash where no cap takes as many. *latency*: mean seconds to an answer, beside others; a dash for a point"
    yield "that is a longer run, cut at that cap. Of the chains of thought, the cap is that of rounds.\n"
    yield from (f"- {name}: `{value}`" for name, value in origin.items())
    yield f"\n![Accuracy against generated tokens]({FIGURE})"
    for engine in dict.fromkeys(row.engine for row in rows):
        mine = [row for row in rows if row.engine == engine]
        yield f"\n## {engine}: {mine[0].problems} problems\n"
        yield _HEADER
        yield _RULE
        yield from map(_line, mine)


def _line(row: AlgorithmRow) -> str:
    figures = (f"{row.certaindex:.2f}", count(row.knob), seconds(row.latency_s))
    cells = (row.curve, row.cap, percent(row.accuracy), amount(row.tokens), gained(row), *figures)
    return f"| {' | '.join(map(str, cells))} |"
