"""Latency and tokens of live policies against even allocation, as rows and as a page."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from dynasor.bench.latency_study import Answered
from dynasor.bench.resampling import resampled_ratios
from dynasor.metrics.intervals import Estimate

EVEN = "even"

_PAGE = """# What policies cost in latency, live

The built-in model answers problems of its own set with self-consistency, on the embedded engine. Each policy answers
the same problems, block by block in turning order, so the machine is as busy for one as for the others. Times are in
times of even allocation's on the same problems, with 95 % intervals over problems; tokens count all, those of cut
branches included. *in flight*: everything up to the cap is started at once, and what the policy would not have granted
is cut.
The paper (6.4, Table 4) pays 289 s to 366 s for its finest policy, which asks for branches one after the other.
"""


class LatencyRow(msgspec.Struct, frozen=True, kw_only=True):
    """One policy under one load.

    Attributes:
        at_once: programs that run at one time.
        latency, tokens: as a share of even allocation's, over the same problems.
    """

    policy: str
    at_once: int
    problems: int
    mean_s: float
    p90_s: float
    latency: Estimate
    tokens_a_problem: float
    tokens: Estimate
    accuracy: float


def latency_rows(answers: Sequence[Answered], at_once: int) -> list[LatencyRow]:
    """The rows of all policies, in the order in which they first answered; `even` must be one of them."""
    by_arm: dict[str, dict[str, Answered]] = {}
    for each in answers:
        by_arm.setdefault(each.arm, {})[each.problem] = each
    even = by_arm[EVEN]
    return [_row(arm, own, even, at_once) for arm, own in by_arm.items()]


def _row(arm: str, own: Mapping[str, Answered], even: Mapping[str, Answered], at_once: int) -> LatencyRow:
    times = sorted(each.latency_s for each in own.values())
    pairs = [(own[problem], even[problem]) for problem in own]
    ratios = resampled_ratios(
        {
            "latency": ([ours.latency_s for ours, _ in pairs], [theirs.latency_s for _, theirs in pairs]),
            "tokens": ([ours.tokens for ours, _ in pairs], [theirs.tokens for _, theirs in pairs]),
        }
    )
    return LatencyRow(
        policy=arm,
        at_once=at_once,
        problems=len(own),
        mean_s=sum(times) / len(times),
        p90_s=times[int(0.9 * (len(times) - 1))],
        latency=ratios["latency"],
        tokens_a_problem=sum(each.tokens for each in own.values()) / len(own),
        tokens=ratios["tokens"],
        accuracy=sum(each.correct for each in own.values()) / len(own),
    )


def write_latency(rows: Sequence[LatencyRow], origin: Mapping[str, object], out: Path, page: Path) -> None:
    """Write rows and page, and the folders they are in."""
    out.mkdir(parents=True, exist_ok=True)
    page.parent.mkdir(parents=True, exist_ok=True)
    lines = [msgspec.json.encode(line) for line in (dict(origin), *rows)]
    (out / "rows.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    page.write_text("\n".join(_page(rows, origin)) + "\n", encoding="utf-8")


def _page(rows: Sequence[LatencyRow], origin: Mapping[str, object]) -> Iterator[str]:
    yield _PAGE
    yield from (f"- {name}: `{value}`" for name, value in origin.items())
    for at_once in sorted({row.at_once for row in rows}):
        yield f"\n## {at_once} program{'s' * (at_once > 1)} at a time\n"
        yield "| policy | mean s | p90 s | latency, times even | tokens a problem | tokens, times even | accuracy % |"
        yield "|---|---|---|---|---|---|---|"
        yield from (_line(row) for row in rows if row.at_once == at_once)


def _line(row: LatencyRow) -> str:
    cells = (
        row.policy,
        f"{row.mean_s:.2f}",
        f"{row.p90_s:.2f}",
        _times(row.latency),
        f"{row.tokens_a_problem:,.0f}",
        _times(row.tokens),
        f"{100 * row.accuracy:.1f}",
    )
    return f"| {' | '.join(cells)} |"


def _times(estimate: Estimate) -> str:
    return f"{estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"
