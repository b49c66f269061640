"""The tables of the expected-gain study, as Markdown and as lines of JSON."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from dynasor.bench.gain_study import CAUTION
from dynasor.bench.policy_study import Study
from dynasor.bench.policy_tables import percent
from dynasor.bench.replays import Row

INTRODUCTION = f"""# Stopping by expected gain, on recorded samples of real models

Self-consistency at the largest cap of each recording. *gain p* was learned on one half of the problems and answers the
other, both ways, at a price of p of accuracy for a branch: 0.001 says that ten branches are worth one point. What few
problems show is shrunk ({CAUTION.weight:g} problems' worth of prior, {CAUTION.errors:g} standard errors). These two
figures were chosen while looking at eight of the recordings, marked *; the others were not looked at before.
Brackets are 95 % intervals: paired bootstrap over problems, 1000 draws, orders averaged within a problem. They do not
hold the chance of the split. The problems of epoch-multi-model are 45 questions put to many models: its halves share
questions, and its intervals are too narrow. *saved* is the share of even allocation's tokens.
"""
LOOKED_AT = frozenset(
    {
        "codegen-16b__humaneval",
        "gpt-3.5__last_letters",
        "gpt-4__game24_cot",
        "gpt-4__game24_io",
        "llama-2-13b__gsm8k_pot",
        "phi-4__otis_mock_aime",
        "r1-distill-llama-8b+qwq-32b__math100",
        "r1-distill-llama-8b__math100_v1",
    }
)


def write_gain(studies: Sequence[Study], origin: Mapping[str, object], directory: Path) -> None:
    """`rows.jsonl`, whose first line tells where it came from, and `README.md`."""
    directory.mkdir(parents=True, exist_ok=True)
    rows = [{"trace": study.trace} | msgspec.to_builtins(row) for study in studies for row in study.rows]
    (directory / "rows.jsonl").write_bytes(
        b"".join(msgspec.json.encode(line) + b"\n" for line in [dict(origin), *rows])
    )
    (directory / "README.md").write_text("\n".join(_page(studies, origin)) + "\n", encoding="utf-8")


def _page(studies: Sequence[Study], origin: Mapping[str, object]) -> Iterable[str]:
    yield INTRODUCTION
    yield from (f"- {name}: `{value}`" for name, value in origin.items())
    yield "\n## All recordings\n"
    yield "Tokens saved in %, and in parentheses the accuracy difference to even in points; **bold** where its interval"
    yield "leaves zero out.\n"
    yield from _overview([study for study in studies if study.rows])
    for study in studies:
        yield f"\n## {study.trace}\n"
        if study.left_out:
            yield f"Left out: {study.left_out}."
        yield from _section(study.rows)


def _overview(studies: Sequence[Study]) -> Iterable[str]:
    if not studies:
        return
    names = [row.name for row in studies[0].rows]
    yield f"| recording | problems | cap | even, accuracy % | {' | '.join(names[1:])} |"
    yield "|---|---|---|---|" + "---|" * len(names[1:])
    for study in studies:
        even, *rows = study.rows
        name = study.trace + " *" * (study.trace in LOOKED_AT)
        accuracy = 100 * even.accuracy.value
        yield f"| {name} | {even.problems} | {even.cap} | {accuracy:.1f} | {' | '.join(map(_cell, rows))} |"


def _cell(row: Row) -> str:
    difference = row.accuracy_difference
    bold = "**" * (difference.high < 0 or difference.low > 0)
    return f"{100 * row.saved.value:.1f} ({bold}{100 * difference.value:+.2f}{bold})"


def _section(rows: Sequence[Row]) -> Iterable[str]:
    if not rows:
        return
    yield f"Cap {rows[0].cap}, {rows[0].problems} problems, {rows[0].orders} orders.\n"
    yield "| policy | branches | saved % | accuracy % | accuracy − even, points |"
    yield "|---|---|---|---|---|"
    for row in rows:
        difference = percent(row.accuracy_difference, digits=2, sign="+")
        cells = [row.name, f"{row.branches:.1f}", percent(row.saved), percent(row.accuracy), difference]
        yield f"| {' | '.join(cells)} |"
