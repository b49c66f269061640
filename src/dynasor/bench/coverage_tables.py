"""The study of promises as lines of JSON and as a Markdown page."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from dynasor.bench.coverage_plots import FIGURE
from dynasor.bench.coverage_study import CoverageRow, Kept, LeftOut, Line
from dynasor.metrics.intervals import Estimate

ROWS, PAGE = "rows.jsonl", "README.md"

INTRODUCTION = """# Whether promises are kept

`dynasor calibrate` promises that a policy loses at most the tolerance of accuracy against even allocation. Here the
problems of each recording are halved at random, again and again: the calibrator chooses on one half (a quarter of it to
fit, the rest to test), and its policy answers the other half. A promise is *broken* where more than the tolerance is
lost there. With 95 % confidence, at most 5 % of the promises may be.

- **broken**: the share of halvings in which the test half lost more than the tolerance. The test half has a chance of
  its own: a policy that loses less than promised on all problems may lose more on some half of them, the more so the
  fewer problems there are.
- **broken on all**: the same, with the loss on all problems that the policy was not fitted to: what is promised.
- **tuned**: what a tuner without a guarantee gets: of the rules that need no fitting, the one that saves most among
  those that lose no more than the tolerance on the same calibration half. Its loss on all problems is flattered: half
  of them are those that it was chosen on.
- **saved**: the mean share of even allocation's tokens saved on the test half; *decided* stops at a decided vote, which
  loses nothing and needs no calibration. *promised more*: the share of halvings in which more than that was promised.

Brackets are Wilson's 95 % intervals over the halvings. Halvings of one recording share their problems, so they tell
what the chance of division does, and less of what other problems would have done."""


def write_rows(lines: Iterable[Line], origin: Mapping[str, object], directory: Path) -> None:
    """All lines, behind one that tells where they came from; an interrupted write leaves the old ones."""
    directory.mkdir(parents=True, exist_ok=True)
    draft = directory / f"{ROWS}.partial"
    draft.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in (origin, *lines)))
    draft.replace(directory / ROWS)


def write_page(lines: Sequence[Line], origin: Mapping[str, object], directory: Path) -> None:
    """The page."""
    (directory / PAGE).write_text("\n".join(_page(lines, origin)) + "\n", encoding="utf-8")


def _page(lines: Sequence[Line], origin: Mapping[str, object]) -> Iterator[str]:
    rows = [line for line in lines if isinstance(line, CoverageRow)]
    yield f"{INTRODUCTION}\n"
    yield from (f"- {name}: `{value}`" for name, value in origin.items())
    if rows:
        yield f"\n![broken promises and tokens saved]({FIGURE})\n"
        yield from _all_together(rows)
    for tolerance in dict.fromkeys(row.tolerance for row in rows):
        yield f"\n## At most {100 * tolerance:g} points\n"
        yield from _table([row for row in rows if row.tolerance == tolerance])
    if left_out := [line for line in lines if isinstance(line, LeftOut)]:
        yield "\n## Left out\n"
        yield from (f"- {line.trace}: {line.left_out}" for line in left_out)


def _all_together(rows: Sequence[CoverageRow]) -> Iterator[str]:
    yield "| promised, points | recordings | most broken % | most broken on all % | tuned: most broken % | saved % |"
    yield "|---|---|---|---|---|---|"
    for tolerance in dict.fromkeys(row.tolerance for row in rows):
        mine = [row for row in rows if row.tolerance == tolerance]
        most, most_on_all = (_share(max((getattr(r.promised, n) for r in mine), key=_value)) for n in _BROKEN)
        tuned = _share(max((row.tuned.broken for row in mine), key=_value))
        saved = ", ".join(
            f"{name} {100 * sum(figures) / len(mine):.1f}"
            for name, figures in (
                ("promised", [row.promised.saving for row in mine]),
                ("tuned", [row.tuned.saving for row in mine]),
                ("decided", [row.decided for row in mine]),
            )
        )
        yield f"| {100 * tolerance:g} | {len(mine)} | {most} | {most_on_all} | {tuned} | {saved} |"


_BROKEN = ("broken", "broken_on_all")


def _table(rows: Sequence[CoverageRow]) -> Iterator[str]:
    yield (
        "| recording | problems | cap | broken % | broken on all % | saved % | promised more % | chosen most often"
        " | tuned: broken % | broken on all % | saved % | decided: saved % |"
    )
    yield "|" + "---|" * 12
    for row in rows:
        chosen = next(iter(row.choices))
        yield (
            f"| {row.trace} | {row.problems} | {row.cap} | {_kept(row.promised)} | {100 * row.promised_more:.0f}"
            f" | {chosen} | {_kept(row.tuned)} | {100 * row.decided:.1f} |"
        )


def _kept(kept: Kept) -> str:
    return f"{_share(kept.broken)} | {_share(kept.broken_on_all)} | {100 * kept.saving:.1f}"


def _share(share: Estimate) -> str:
    return f"{100 * share.value:.1f} [{100 * share.low:.1f}, {100 * share.high:.1f}]"


def _value(share: Estimate) -> float:
    return share.value
