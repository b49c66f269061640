"""`dynasor bench gateway`: what the gateway costs, beside others, under very many streams, and over a long time."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import click

from dynasor.bench.gateway_arms import DIRECT, Arm, is_installed, own_arms, rival_arms, version
from dynasor.bench.gateway_endurance import SEGMENT_S, Segment, hold, soak
from dynasor.bench.gateway_figures import Figures
from dynasor.bench.gateway_load import Load
from dynasor.bench.gateway_overhead import Row, loads, overhead
from dynasor.bench.gateway_page import ROWS, SOAK, STREAMS, add_line, write_lines, write_page
from dynasor.bench.gateway_plots import write_figure
from dynasor.bench.gateway_processes import Cores, allow_descriptors, cores
from dynasor.bench.provenance import provenance
from dynasor.datasets.extras import optional
from dynasor.errors import UnknownName, UsageError

_PAGE = "gateway.md"
_PICTURE = "gateway-cpu.png"
_HELD = 1000
_QUICK = loads(seconds=2.0, held=200)


@click.command(short_help="What the gateway costs, beside other gateways; many streams; a soak.")
@click.option("--arms", "names", help="Only these, with commas between them.  [default: all that are installed]")
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1), help="Each arm so many times.")
@click.option("--seconds", default=5.0, show_default=True, type=click.FloatRange(0.1, 600), help="Of each load.")
@click.option("--streams", type=click.IntRange(1, 100_000), help="Instead: hold so many streams at one time.")
@click.option(
    "--hold", "hold_s", default=60.0, show_default=True, type=click.FloatRange(0.1, 3600), help="Seconds of --streams."
)
@click.option("--soak", "soak_s", type=click.FloatRange(1, 86_400), help="Instead: so many seconds at 70 % load.")
@click.option("--quick", is_flag=True, help="One short round of the project's own arms, to runs/; about a minute.")
@click.option("--free", is_flag=True, help="Do not bind the processes to cores.")
@click.option("--out", type=click.Path(path_type=Path), help="[default: results/gateway; quick: runs/gateway]")
@click.option("--page", type=click.Path(path_type=Path), help="[default: docs/results/gateway.md; quick: in --out]")
def gateway(
    names: str | None,
    rounds: int,
    seconds: float,
    streams: int | None,
    hold_s: float,
    soak_s: float | None,
    quick: bool,
    free: bool,
    out: Path | None,
    page: Path | None,
) -> None:
    """Measure what the gateway adds: rate, latency, CPU time and memory, in front of a mock backend.

    Everything runs on this machine, on the loopback interface, and ends by itself. Other gateways are measured beside
    it where scripts/gateway-rivals has installed them. It takes two cores that are otherwise idle: the gateway has one.

    \b
    Examples:
      dynasor bench gateway
      dynasor bench gateway --streams 10000 --hold 60
      dynasor bench gateway --soak 1800
    """  # noqa: D301
    optional("uvloop", "measuring the gateway", "gateway")
    out = out or Path("runs" if quick else "results") / "gateway"
    page = page or (out if quick else Path("docs/results")) / _PAGE
    run = _Run(out, page.with_name(_PICTURE), allow_descriptors(), cores(free=free))
    if streams is not None:
        run.hold(streams, hold_s)
    elif soak_s is not None:
        run.soak(soak_s)
    else:
        run.compare(_arms(names, quick), 1 if quick else rounds, _QUICK if quick else loads(seconds, _HELD))
    write_page(out, page, run.picture)
    click.echo(f"wrote {page}, and what was measured to {out}")


class _Run:
    """One of three measurements."""

    def __init__(self, out: Path, picture: Path, descriptors: int, at: Cores) -> None:
        self.out, self.picture, self._descriptors, self._at = out, picture, descriptors, at
        self._before = os.getloadavg()
        self._ours = own_arms()[0]

    def compare(self, arms: Sequence[Arm], rounds: int, asked: Mapping[str, Load]) -> None:
        """All arms in turn."""
        versions = {arm.name: version(arm) for arm in arms if arm is not DIRECT}
        rows: list[Row] = []
        path = self._begun(ROWS, versions=versions, loads=asked)

        async def all_rows() -> None:
            async for row in overhead(arms, rounds, asked, self._at, partial(click.echo, err=True)):
                rows.append(row)
                add_line(path, row)
                _tell(f"{row.round}: {row.arm}, {row.load}", row.found.failed, row.found.fault)

        asyncio.run(all_rows())
        write_lines(path, self._origin(versions=versions, loads=asked), rows)
        write_figure(Figures(rows), self.picture)

    def hold(self, streams: int, hold_s: float) -> None:
        """Very many streams."""
        held = asyncio.run(hold(self._ours, streams, hold_s, self._descriptors, self._at))
        for found in held.founds:
            _tell(f"{found.requests} streams held, {held.kb_per_stream:.1f} kB each", found.failed, found.fault)
        write_lines(self.out / STREAMS, self._origin(), [held])

    def soak(self, seconds: float) -> None:
        """A long time."""
        segments: list[Segment] = []
        path = self._begun(SOAK)

        async def all_segments() -> None:
            async for one in soak(self._ours, seconds, self._at, min(SEGMENT_S, seconds / 4)):
                segments.append(one)
                add_line(path, one)
                failed = one.plain.failed + one.streams.failed
                told = f"{one.look.at_s:.0f} s: {one.plain.rate:,.0f} requests/s, {one.look.memory_mib:.1f} MiB"
                _tell(told, failed, one.plain.fault or one.streams.fault)

        asyncio.run(all_segments())
        write_lines(path, self._origin(), segments)

    def _begun(self, name: str, **more: object) -> Path:
        write_lines(self.out / name, self._origin(**more), [])
        return self.out / name

    def _origin(self, **more: object) -> dict[str, object]:
        return provenance(
            cores=self._at,
            descriptors=self._descriptors,
            load_before=self._before,
            load_after=os.getloadavg(),
            **more,
        )


def _arms(names: str | None, quick: bool) -> list[Arm]:
    known = {arm.name: arm for arm in (DIRECT, *own_arms(), *rival_arms())}
    if names is None:
        rivals = [] if quick else rival_arms()
        for arm in rivals:
            if not is_installed(arm):
                click.echo(f"{arm.name} is left out: it is not installed; see scripts/gateway-rivals", err=True)
        return [DIRECT, *own_arms(), *(arm for arm in rivals if is_installed(arm))]
    chosen = []
    for name in names.split(","):
        if name not in known:
            raise UnknownName("arm", name, list(known))
        if not is_installed(known[name]):
            raise UsageError(f"{name} is not installed; see scripts/gateway-rivals")
        chosen.append(known[name])
    return chosen


def _tell(told: str, failed: int, fault: str) -> None:
    click.echo(f"{told}{f'; failed: {failed}, such as {fault}' if failed else ''}", err=True)
