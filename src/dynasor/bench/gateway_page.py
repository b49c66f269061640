"""What a gateway costs, as a page: overhead side by side, many streams, and the soak, as far as they were made."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from dynasor.bench.gateway_endurance import Held, Segment, growth_mib_per_minute
from dynasor.bench.gateway_figures import DIRECT, FLOOR, GOALS, OURS, Figure, Figures
from dynasor.bench.gateway_overhead import Row

ROWS, STREAMS, SOAK = "rows.jsonl", "streams.jsonl", "soak.jsonl"
_HEAD = """# What the gateway costs

The gateway in front of a mock backend that answers at once or at a given pace, beside other gateways in front of the
same one, each in turn. The gateway has one core; the mock and the load generator share another, so that a rate above
theirs (`direct`) cannot be seen. CPU time is the gateway's own, from `/proc`: other work on the machine changes it less
than rates and latencies, but by a third where cores share their parts. Streams begin spread over the length of one, as
those of clients that know nothing of each other; also told is what is added to the first token where 50 begin at once.
Median over the rounds [least, most]. Reproduced by `dynasor bench gateway`.
"""
_COLUMNS = (
    ("requests/s", "rate", ",.0f"),
    ("CPU a request, us", "cpu_request", ",.0f"),
    ("added p50, ms", "added_p50", ".2f"),
    ("added p99, ms", "added_p99", ".2f"),
    ("added to first token, ms", "stream_first", ".2f"),
    ("50 begin at once, ms", "at_once_first", ".2f"),
    ("token delay p50, ms", "delay_p50", ".2f"),
    ("token delay p99, ms", "delay_p99", ".2f"),
    ("tokens/s", "token_rate", ",.0f"),
    ("CPU a token, us", "cpu_token", ",.1f"),
    ("kB a stream", "memory", ",.1f"),
    ("idle, MiB", "idle", ",.0f"),
)
_ADDED = ("added_p50", "added_p99", "stream_first", "at_once_first")
_ONLY_GATEWAYS = ("cpu_request", "cpu_token", "memory", "idle", *_ADDED)


def read_lines(path: Path, kind: Any) -> tuple[dict[str, Any], list[Any]]:
    """What was written by `write_lines`; nothing where nothing was."""
    if not path.exists():
        return {}, []
    origin, *lines = path.read_bytes().splitlines()
    return msgspec.json.decode(origin), [msgspec.json.decode(line, type=kind) for line in lines]


def write_lines(path: Path, origin: Mapping[str, object], lines: Sequence[object]) -> None:
    """Write where it comes from, and a line for each."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in (dict(origin), *lines)))


def add_line(path: Path, line: object) -> None:
    """Keep one more at once, for the case that what measures is interrupted."""
    with path.open("ab") as file:
        file.write(msgspec.json.encode(line) + b"\n")


def write_page(out: Path, page: Path, picture: Path) -> None:
    """Write the page of all that is in a folder."""
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("\n".join(_lines(out, picture)) + "\n", encoding="utf-8")


def _lines(out: Path, picture: Path) -> Iterator[str]:
    yield _HEAD
    origin, rows = read_lines(out / ROWS, Row)
    if rows:
        yield f"![CPU time of the gateways]({picture.name})\n"
        yield from _overhead(Figures(rows), origin)
    origin, held = read_lines(out / STREAMS, Held)
    for one in held:
        yield from _held(one, origin)
    origin, segments = read_lines(out / SOAK, Segment)
    if segments:
        yield from _soak(segments, origin)


def _overhead(figures: Figures, origin: Mapping[str, Any]) -> Iterator[str]:
    yield "## Side by side\n"
    yield f"| gateway | {' | '.join(name for name, _, _ in _COLUMNS)} | failed |"
    yield "|---" * (len(_COLUMNS) + 2) + "|"
    for arm in figures.arms:
        cells = [_cell(figures, arm, name, form) for _, name, form in _COLUMNS]
        yield f"| {arm} | {' | '.join(cells)} | {figures.failed_of(arm)} |"
    yield "\nAs a multiple of the bare pass-through on the same stack:\n"
    yield "| gateway | CPU a request | CPU a token | memory of a stream |\n|---|---|---|---|"
    for arm in figures.arms:
        times = [figures.times(arm, name) for name in ("cpu_request", "cpu_token", "memory")]
        if arm not in (DIRECT, FLOOR) and all(times):
            yield f"| {arm} | {' | '.join(f'{value:.2f}' for value in times if value)} |"
    yield "\nGoals on one core, with keys, programs, metrics and log on:\n"
    yield "| | goal | found | |\n|---|---|---|---|"
    for name, goal in GOALS.items():
        if (found := figures.figure(OURS, name)) is not None:
            sign, kept = ("at least", "at most")[goal.sign < 0], "kept" if goal.holds(found.value) else "not kept"
            yield f"| {goal.name} | {sign} {goal.bound:,g} {goal.unit} | {found.value:,.1f} {goal.unit} | {kept} |"
    yield from _origin(origin)


def _cell(figures: Figures, arm: str, name: str, form: str) -> str:
    found = None if arm == DIRECT and name in _ONLY_GATEWAYS else figures.figure(arm, name)
    return "" if found is None else _shown(found, form)


def _shown(figure: Figure, form: str) -> str:
    if figure.low == figure.high:
        return format(figure.value, form)
    return f"{figure.value:{form}} [{figure.low:{form}}, {figure.high:{form}}]"


def _held(held: Held, origin: Mapping[str, Any]) -> Iterator[str]:
    begun, failed = (sum(getattr(found, name) for found in held.founds) for name in ("requests", "failed"))
    processes = f"{held.gateways} process{'es' if held.gateways > 1 else ''}"
    yield f"\n## {held.streams:,} streams at one time\n"
    yield f"- Held for {min(found.seconds for found in held.founds):.0f} s by {processes}, with keys, programs and log."
    yield f"- Open at the end: {begun:,}; failed: {failed}."
    yield f"- Memory: {held.idle_mib:,.0f} MiB before, {held.peak_mib:,.0f} at most:"
    yield f"  {held.kb_per_stream:.1f} kB a stream."
    yield f"- Token delay: {max(found.delay.p50 for found in held.founds):.2f} ms (p50),"
    yield f"  {max(found.delay.p99 for found in held.founds):.2f} (p99)."
    left = f"{held.left_s:.1f} s after" if held.left_s >= 0 else "not within 30 s of"
    yield f"- All clients left at once: the backend was rid of them {left} that; open descriptors"
    yield f"  {held.descriptors_before} before, {held.descriptors_after} after."
    yield from _origin(origin)


def _soak(segments: Sequence[Segment], origin: Mapping[str, Any]) -> Iterator[str]:
    looks = [segment.look for segment in segments]
    yield f"\n## {looks[-1].at_s / 60:.0f} minutes at 70 % load\n"
    requests = sum(segment.plain.requests + segment.streams.requests for segment in segments)
    failed = sum(segment.plain.failed + segment.streams.failed for segment in segments)
    tokens = sum(segment.streams.tokens for segment in segments)
    yield f"- {requests:,} requests and {tokens:,} streamed tokens; failed: {failed}."
    growth = growth_mib_per_minute(segments)
    yield f"- Memory: {looks[0].memory_mib:.1f} MiB after the first part, {looks[-1].memory_mib:.1f} at the end; slope"
    yield f"  {growth:+.3f} MiB a minute once settled."
    if len(segments) > 1:
        yield from _largest_step(segments)
    yield f"- Open descriptors between parts: {min(look.descriptors for look in looks)} to"
    yield f"  {max(look.descriptors for look in looks)}."
    beats = [segment.plain.beat for segment in segments]
    yield f"- `GET /health` beside it, in the worst part: p50 {max(beat.p50 for beat in beats):.2f} ms, p99"
    yield f"  {max(beat.p99 for beat in beats):.2f} ms."
    yield from _origin(origin)


def _largest_step(segments: Sequence[Segment]) -> Iterator[str]:
    """An open load goes on while a machine stalls: what it builds up then sets the size that memory keeps."""
    steps = [(after.look.memory_mib - before.look.memory_mib, after) for before, after in pairwise(segments)]
    grown, at = max(steps, key=itemgetter(0))
    slowest = median(segment.plain.latency.most for segment in segments)
    yield f"- It grew most, by {grown:.1f} MiB, in the part that ended at {at.look.at_s:.0f} s, whose slowest request"
    yield f"  took {at.plain.latency.most / 1e3:.1f} s; in the median part the slowest took {slowest / 1e3:.1f} s."


def _origin(origin: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield from (f"- {name}: `{value}`" for name, value in origin.items())
