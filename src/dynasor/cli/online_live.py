"""`dynasor bench online --engine vllm`: the evaluation on real servers, from the calibration to the page."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import click

from dynasor.bench.engine_backends import VERSIONS
from dynasor.bench.online_live_arms import QUICK, STOCK, live_arm, servers_of
from dynasor.bench.online_live_figures import LiveFigures
from dynasor.bench.online_live_page import PLOT, live_page, live_terminal
from dynasor.bench.online_live_plots import write_live_plot
from dynasor.bench.online_live_rows import LiveFacts, LiveRows
from dynasor.bench.online_live_station import VLLMStation, live_servers
from dynasor.bench.online_live_study import LivePlan, LiveStudy
from dynasor.bench.online_rows import Origin
from dynasor.bench.provenance import provenance
from dynasor.bench.round_robin import round_robin
from dynasor.clock import WallClock
from dynasor.errors import UsageError

SAMPLES = "results/built-in-model/samples.jsonl.gz"
"""The recording whose problems are asked, and which tells how difficult they are."""

_PAGE = "online-vllm.md"


@dataclass(frozen=True, slots=True)
class LiveWish:
    """What the command was told.

    Attributes:
        again: arms whose points are to be forgotten.
        runs: whether anything is to be measured.
        out, pages: folders of the rows, and of the page.
    """

    plan: LivePlan
    again: tuple[str, ...]
    runs: bool
    out: Path
    pages: Path


def quick(plan: LivePlan) -> LivePlan:
    """A plan of a few minutes, which shows that all works and no more."""
    return replace(plan, arms=QUICK, programs=40, seeds=1, loads=(0.7, 1.1, 1.8), fixed=(1.1,), burst=30, alone=4)


def run_live(wish: LiveWish, tell: Callable[[str], None]) -> None:
    """Measure what is left, and write the page of what there is.

    Raises:
        UsageError: there is no vLLM, or nothing to make a page of.
        EngineError: a server failed; the same command goes on from there.
    """
    study = LiveStudy(wish.plan, LiveRows(wish.out / "rows.jsonl"), wish.out / "runs")
    study.rows.forget(live_arm(name).name for name in wish.again)
    if wish.runs:
        _measure(study, wish.out / "runs" / "servers", tell)
    facts, rows = study.facts, study.mine()
    if facts is None or not rows:
        raise UsageError(f"{wish.out} holds no points of these settings; leave out --no-runs")
    wish.pages.mkdir(parents=True, exist_ok=True)
    (wish.pages / _PAGE).write_text("\n".join(live_page(study, facts)) + "\n", encoding="utf-8")
    figures, load = LiveFigures(rows), study.plan.fixed[-1]
    write_live_plot(figures, study.plan.arms, load, wish.pages / PLOT)
    for line in live_terminal(figures, study.plan.arms, load):
        click.echo(line)
    click.echo(f"wrote {wish.pages / _PAGE}, its plot, and {wish.out}/rows.jsonl")


def _measure(study: LiveStudy, logs: Path, tell: Callable[[str], None]) -> None:
    facts = study.facts
    if facts is not None and next(study.left(facts), None) is None:
        return
    with round_robin() as turns:
        _serve(study, facts, logs, tell, turns=turns)


def _serve(study: LiveStudy, facts: LiveFacts | None, logs: Path, tell: Callable[[str], None], *, turns: bool) -> None:
    told = provenance(
        engine=VERSIONS["vllm"](), slots=study.plan.slots, load_before=os.getloadavg(), strict_turns=turns
    )
    study.rows.add(Origin({name: str(value) for name, value in told.items()}))
    calibrating = () if facts else (STOCK,)
    servers = tuple(dict.fromkeys((*calibrating, *servers_of(study.plan.arms))))
    tell(f"starting {len(servers)} servers{', and calibrating' if calibrating else ''}; a minute or two")
    clock = WallClock()
    logs.mkdir(parents=True, exist_ok=True)
    with live_servers(servers, study.plan.slots, logs) as running:
        asyncio.run(study.run(VLLMStation(running, clock), clock, tell))
