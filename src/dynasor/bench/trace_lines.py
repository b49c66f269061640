"""The lines of the study of traces: one Markdown table for each kind of row. It knows no page."""

from collections.abc import Iterable, Iterator, Sequence

from dynasor.bench.code_groups import GroupRow
from dynasor.bench.policy_tables import percent
from dynasor.bench.probed_study import ProbedRow
from dynasor.bench.search_choices import ChoiceRow
from dynasor.bench.search_signals import SignalRow
from dynasor.metrics.intervals import Estimate

JUST_ENOUGH = """
With a limit on the tokens of a chain: each way with the smallest of 20 limits (k/20 of the longest chain) with which it
comes within *tolerance* of the accuracy of whole chains. A limited plain chain has no answer; the others have that of
their last probe. The limits are chosen on the same problems, which flatters every way. One that is missing never gets
there.
"""


def _table(head: str, lines: Iterable[Sequence[object]]) -> Iterator[str]:
    yield f"| {head} |"
    yield "|" + "---|" * (head.count("|") + 1)
    yield from (f"| {' | '.join(map(str, cells))} |" for cells in lines)


_PROBED_HEAD = (
    "way | every | window | probes | accuracy % | tokens a chain | saved beyond guided % | saved beyond plain %"
    " | accuracy − guided, points | cut %"
)


def probed_table(rows: Sequence[ProbedRow]) -> Iterator[str]:
    """Without a limit on the tokens, and then with the limits that just suffice."""
    yield f"{rows[0].chains} chains; {rows[0].probe_tokens} tokens a probe.\n"
    yield from _table(_PROBED_HEAD, (_probed_cells(row) for row in rows if row.budget is None))
    if limited := [row for row in rows if row.budget is not None]:
        yield JUST_ENOUGH
        yield from _table(
            f"tolerance, points | limit | {_PROBED_HEAD}",
            ((f"{100 * (row.tolerance or 0):g}", row.budget, *_probed_cells(row)) for row in limited),
        )


def _probed_cells(row: ProbedRow) -> list[object]:
    way = row.way
    asked = way.name != "plain"
    return [
        way.name,
        way.every if asked else "",
        way.window or "",
        ("sure" if way.least_mass else "all") if asked else "",
        percent(row.accuracy),
        _tokens(row.tokens),
        percent(row.saved),
        percent(row.saved_plain),
        percent(row.difference, digits=2, sign="+"),
        f"{100 * row.cut:.0f}",
    ]


def choices_table(rows: Sequence[ChoiceRow]) -> Iterator[str]:
    """One line for each way to choose."""
    head = "paths | of a problem | choice | path score | accuracy % | difference, points | tokens a problem"
    yield from _table(
        head,
        (
            (
                row.paths,
                row.count,
                row.choice,
                row.score,
                percent(row.accuracy),
                percent(row.difference, digits=2, sign="+"),
                f"{row.tokens:.0f}",
            )
            for row in rows
        ),
    )


def signals_table(rows: Sequence[SignalRow]) -> Iterator[str]:
    """One line for each signal."""
    head = "paths | of a problem | certaindex by | threshold | correlation | certain % | right if certain % | else %"
    yield from _table(
        head,
        (
            (
                row.paths,
                row.count,
                row.signal,
                row.threshold,
                _figure(row.correlation),
                f"{100 * row.certain:.1f}",
                _share(row.right_if_certain),
                _share(row.right_if_not),
            )
            for row in rows
        ),
    )


def groups_table(rows: Sequence[GroupRow]) -> Iterator[str]:
    """One line for each way to group."""
    head = (
        "grouping | groups | accuracy at the cap % | certaindex at 5 | stopped % | saved % | accuracy % | lost, points"
    )
    yield from _table(
        head,
        (
            (
                row.name,
                f"{row.groups:.1f}",
                _share(row.accuracy),
                f"{row.certaindex:.2f}",
                _share(row.stopped),
                _share(row.saved),
                _share(row.policy_accuracy),
                f"{100 * (row.accuracy - row.policy_accuracy):.2f}",
            )
            for row in rows
        ),
    )


def _tokens(estimate: Estimate) -> str:
    return f"{estimate.value:.0f} [{estimate.low:.0f}, {estimate.high:.0f}]"


def _figure(estimate: Estimate) -> str:
    return "" if estimate.value != estimate.value else f"{estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"


def _share(share: float) -> str:
    return "" if share != share else f"{100 * share:.1f}"
