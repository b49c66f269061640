"""The tables of the study of traces, as Markdown and as lines of JSON."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from dynasor.bench.code_groups import GroupRow
from dynasor.bench.probed_study import ProbedRow
from dynasor.bench.search_choices import ChoiceRow
from dynasor.bench.search_signals import SignalRow
from dynasor.bench.trace_lines import choices_table, groups_table, probed_table, signals_table
from dynasor.bench.trace_study import TraceStudy

_KINDS = {ProbedRow: "probed", ChoiceRow: "choice", SignalRow: "signal", GroupRow: "groups"}
_NOTED = ("probed", "choice")

_INTRODUCTION = """# Recordings of real models: probed chains, rewarded paths, code

What was recorded is replayed through the product's own chains, policies, choices and groupings. Brackets are 95 %
intervals: bootstrap over problems, paired, 1000 draws.
"""
_PROBED = """
## Probed chains of thought

*plain* is never asked before its end, *guided* is asked all along and never cut, *cut* ends a chain once its last
*window* probes agree (`stepped:threshold=1,detect_at=WINDOW,step=1`). *every* k asks at every k-th recorded probe.
*saved* is the share of guided's tokens, of the same probes, that it did not take; all tokens count, those of probes
too. The paper's figures (6.7: QwQ on GSM8K, 32 tokens a round): guided 30 % fewer tokens than plain at the same
accuracy, cut 14 % fewer than guided, both where the number of tokens is limited.
"""
_CHOICES = """
## Choosing among rewarded paths

*votes* counts answers, *weighted* weighs them by the score of their paths, *best* takes the answer of the best path.
Samples are drawn in seeded orders. *difference* is against the plain vote of the same paths; for a search that came to
one path, against the plain vote of all samples.
"""
_SIGNALS = """
## Certaindex by entropy, by reward, and by both

Read once, on the first paths of every problem, and held against the plain vote of the same paths: Spearman's
correlation with its being right, and the accuracy among the problems whose reading reaches the threshold (Table 1's),
and among the others.
"""
_GROUPS = """
## Self-consistency over code

Each way to group is one grouping in the same program, under even allocation and under the paper's policy for code
(0.4 at 5). *groups* are those among all samples of a problem; *behaviour* runs the programs on the examples that the
problem shows. Means over problems and orders.
"""

Kind = TypeVar("Kind", ProbedRow, ChoiceRow, SignalRow, GroupRow)


def write_traces(studies: Sequence[TraceStudy], origin: Mapping[str, object], directory: Path) -> None:
    """`rows.jsonl`, whose first line tells where it came from, and `README.md`."""
    directory.mkdir(parents=True, exist_ok=True)
    lines: list[dict[str, object]] = [dict(origin)]
    for study in studies:
        lines += [{"trace": study.trace, "table": _KINDS[type(row)]} | msgspec.to_builtins(row) for row in study.rows]
    (directory / "rows.jsonl").write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    (directory / "README.md").write_text("\n".join(_page(studies, origin)) + "\n", encoding="utf-8")


def _page(studies: Sequence[TraceStudy], origin: Mapping[str, object]) -> Iterator[str]:
    yield _INTRODUCTION
    yield from (f"- {name}: `{value}`" for name, value in origin.items())
    if left_out := [study.trace for study in studies if not study.rows]:
        yield f"\nWithout probes, rewards or code: {', '.join(left_out)}."
    yield from _section(_PROBED, studies, ProbedRow, probed_table)
    yield from _section(_CHOICES, studies, ChoiceRow, choices_table)
    yield from _section(_SIGNALS, studies, SignalRow, signals_table)
    yield from _section(_GROUPS, studies, GroupRow, groups_table)


def _section(
    text: str, studies: Sequence[TraceStudy], kind: type[Kind], table: Callable[[Sequence[Kind]], Iterator[str]]
) -> Iterator[str]:
    """The text, and a table for every trace that has rows of the kind; nothing where none has."""
    of_kind = [(study, rows) for study in studies if (rows := [row for row in study.rows if isinstance(row, kind)])]
    yield from [text] if of_kind else []
    for study, rows in of_kind:
        yield f"\n### {study.trace}: {rows[0].problems} problems\n"
        yield from (f"{note}\n" for note in study.notes if _KINDS[kind] in _NOTED)
        yield from table(rows)
