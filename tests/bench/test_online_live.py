"""The live evaluation in virtual time: who comes, what a point tells, what is measured again, and the page."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from dynasor.bench.online_live_arms import ARMS, BASELINES, FCFS, PLUGIN, live_arm, servers_of
from dynasor.bench.online_live_figures import LiveFigures
from dynasor.bench.online_live_page import live_page, live_terminal
from dynasor.bench.online_live_rows import LiveFacts, LivePoint, LiveRows
from dynasor.bench.online_live_run import Reading, Steps
from dynasor.bench.online_live_study import LivePlan, LiveStudy
from dynasor.bench.online_live_workload import LiveWorkload
from dynasor.bench.online_rows import Origin
from dynasor.cli import main
from dynasor.errors import EngineError, UnknownName, UsageError
from dynasor.journal.journal import JOURNAL, read_journal
from dynasor.journal.records import Landed, ProgramFinished, RunStarted
from support.live_stations import STEP_S, TimedStation
from support.online import PROBLEMS, write_recording
from support.timed_engine import VirtualClock

ANSWER_S = 20 * STEP_S
CAP, SLOTS = 8, 16


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_recording(tmp_path_factory.mktemp("live") / "tiny.jsonl"))


def plan(source: str, **more: object) -> LivePlan:
    told = {"arms": (FCFS, "Dynasor"), "programs": 12, "seeds": 2, "loads": (0.5, 1.0, 4.0, 8.0), "fixed": (1.0,)}
    small = {"cap": CAP, "slots": SLOTS, "burst": 20, "alone": 2}
    return LivePlan(source=source, **{**told, **small, **more})  # type: ignore[arg-type]


def study(plan: LivePlan, folder: Path) -> LiveStudy:
    return LiveStudy(plan, LiveRows(folder / "rows.jsonl"), folder / "runs")


async def run(study: LiveStudy, step_s: float = STEP_S) -> tuple[TimedStation, list[str]]:
    clock, told = VirtualClock(), list[str]()
    station = TimedStation(clock, step_s)
    await clock.play(study.run(station, clock, told.append))
    return station, told


@pytest.mark.slow
def test_deadlines_go_by_thirds_and_who_comes_is_not_chosen_on(source: str) -> None:
    workload = LiveWorkload(source, CAP)
    assert workload.factors[0] == 1.0
    assert workload.factors == sorted(workload.factors)
    assert workload.factors[2] > 2.0
    coming = workload.poisson(1, 30, 2.0, 10.0)
    assert {each.within_s for each in coming} == {10.0 * factor for factor in workload.factors}
    assert [each.at_s for each in coming] == sorted(each.at_s for each in coming)
    assert all(each.problem.verdicts is None for each in coming), "answers are judged, not looked up"
    served = {each.problem.id for each in workload.poisson(0, PROBLEMS // 2, 2.0, 10.0)}
    assert not served & {each.problem.id for each in workload.choosing(0, PROBLEMS // 2)}


def test_a_recording_without_questions_is_refused(tmp_path: Path) -> None:
    trace = tmp_path / "tiny.jsonl"
    text = write_recording(trace).read_text().replace('"question"', '"asked"')
    trace.write_text(text)
    with pytest.raises(UsageError, match="cannot be asked anew"):
        LiveWorkload(str(trace), CAP)


@pytest.mark.slow
async def test_what_is_calibrated_is_what_the_engine_can_do(source: str, tmp_path: Path) -> None:
    made = study(plan(source), tmp_path)
    clock = VirtualClock()
    facts = await clock.play(made.calibrate(TimedStation(clock), clock))
    assert facts.alone_s == pytest.approx(ANSWER_S)
    assert facts.base_s == pytest.approx(4 * ANSWER_S)
    assert facts.capacity == pytest.approx(SLOTS / CAP / ANSWER_S, rel=0.2)
    assert facts.tokens == CAP * 20
    assert facts.step_ms == pytest.approx(1000 * STEP_S)
    again = TimedStation(clock)
    assert await clock.play(study(plan(source), tmp_path).calibrate(again, clock)) == facts
    assert not again.prepared, "what is known is not measured again"


@pytest.mark.slow
async def test_points_are_measured_once_and_their_figures_are_of_programs(source: str, tmp_path: Path) -> None:
    first = study(plan(source), tmp_path)
    station, told = await run(first)
    rows = list(first.rows.points.values())
    assert {row.point.arm for row in rows} == {FCFS, "Dynasor"}
    assert "to go" in told[0]
    assert all("without a core 25 % of its time" in line for line in told[1:])
    assert len(told) == 1 + len(rows)
    for row in rows:
        assert len(row.latency_s) == len(row.right) == len(row.knob) == 12
        assert min(row.latency_s) >= ANSWER_S - 1e-9
        assert row.latency_steps == pytest.approx([took / STEP_S for took in row.latency_s], abs=0.2)
        assert row.work.waited == pytest.approx(0.25)
    measured = len(station.prepared)
    assert measured == len(rows) + 2 + 1, "and two alone, and a burst"
    second = study(plan(source), tmp_path)
    station, _ = await run(second)
    assert station.prepared == []
    second.rows.forget(["Dynasor"])
    station, told = await run(second)
    assert {point.arm for point in station.prepared if point.load} == {"Dynasor"}
    assert "to go" in told[0], "the engine is as quick as it was"
    assert len(LiveRows(tmp_path / "rows.jsonl").points) == len(rows)


@pytest.mark.slow
async def test_an_engine_that_is_slower_than_it_was_is_told(source: str, tmp_path: Path) -> None:
    small = {"arms": (FCFS,), "loads": (0.5,), "fixed": ()}
    await run(study(plan(source, seeds=1, **small), tmp_path))
    _, told = await run(study(plan(source, seeds=2, **small), tmp_path), 1.4 * STEP_S)
    assert "programs/s now" in told[0]
    assert "does not compare with what is kept" in told[0]
    assert "to go" in told[1]


@pytest.mark.slow
async def test_an_arm_that_is_late_is_not_measured_at_greater_loads(source: str, tmp_path: Path) -> None:
    made = study(plan(source, arms=(FCFS,), programs=30, loads=(0.5, 3.0, 6.0, 9.0), fixed=(9.0,)), tmp_path)
    await run(made)
    loads = {(point.load, point.seed): row.attainment for point, row in made.rows.points.items()}
    assert loads[3.0, 0] < 0.85
    assert (6.0, 0) not in loads
    assert (6.0, 1) not in loads, "the first seed decides for all"
    assert (9.0, 1) in loads, "but for loads at which all are measured"


@pytest.mark.slow
async def test_every_arm_is_served_and_deadlines_shrink_grants(source: str, tmp_path: Path) -> None:
    arms = tuple(arm.name for arm in ARMS)
    made = study(plan(source, arms=arms, programs=24, seeds=1, loads=(8.0,), fixed=(8.0,)), tmp_path)
    station, _ = await run(made)
    rows = {row.point.arm: row for row in made.mine()}
    assert set(rows) == set(arms)
    assert sum(rows["+ deadline-aware"].tokens) < sum(rows["allocation only"].tokens)
    assert rows["+ deadline-aware"].less > 0
    assert all(row.less == 0 for row in rows.values() if not row.point.due)
    assert all(sum(rows[name].knob) == 24 * CAP for name in BASELINES)
    firsts = [point.arm for point in station.prepared if point.load]
    assert firsts == list(arms), "turns begin with the first arm"


@pytest.mark.slow
async def test_the_journal_of_a_point_tells_every_program(source: str, tmp_path: Path) -> None:
    made = study(plan(source, arms=(FCFS,), seeds=1, loads=(1.0,)), tmp_path)
    await run(made)
    (row,) = made.mine()
    records = list(read_journal(tmp_path / "runs" / "fcfs--vllm-load1-seed0" / JOURNAL))
    assert isinstance(records[0], RunStarted)
    assert records[0].settings["rate"] == row.point.rate
    finished = {record.program: record.tokens for record in records if isinstance(record, ProgramFinished)}
    assert sorted(finished.values()) == sorted(row.tokens)
    assert sum(isinstance(record, Landed) for record in records) == sum(row.knob)


@pytest.mark.slow
async def test_a_point_that_the_engine_let_down_is_not_kept(source: str, tmp_path: Path) -> None:
    made = study(plan(source, arms=(FCFS,), seeds=1, loads=(1.0,)), tmp_path)
    clock = VirtualClock()
    await clock.play(made.calibrate(TimedStation(clock), clock))
    station = TimedStation(VirtualClock())
    station.broken = True
    with pytest.raises(EngineError, match="gone"):
        await station._clock.play(made.run(station, station._clock, lambda told: None))
    assert not made.rows.points


@pytest.mark.slow
async def test_the_page_tells_all_arms_and_lacks_nothing(source: str, tmp_path: Path) -> None:
    arms = (*BASELINES, "Dynasor", "+ lasting")
    made = study(plan(source, arms=arms, programs=10, loads=(0.5, 1.0), fixed=(1.0,)), tmp_path)
    made.rows.add(Origin({"command": "dynasor bench online --engine vllm"}))
    await run(made)
    facts = made.facts
    assert isinstance(facts, LiveFacts)
    page = "\n".join(live_page(made, facts))
    assert "nan" not in page
    assert "- command: `dynasor bench online --engine vllm`" in page
    assert "- seeds: 2, each measured in whole" in page
    for arm in arms:
        assert page.count(arm) > 3
    lines = list(live_terminal(LiveFigures(made.mine()), arms, 1.0))
    assert len(lines) == 2 + len(arms)
    assert max(map(len, lines)) <= 80


@pytest.mark.slow
async def test_only_whole_seeds_are_on_the_page(source: str, tmp_path: Path) -> None:
    made = study(plan(source, arms=(FCFS,), loads=(0.5,), fixed=(0.5,)), tmp_path)
    await run(made)
    assert {row.point.seed for row in made.mine()} == {0, 1}
    gone = next(point for point in made.rows.points if point.seed == 1)
    del made.rows.points[gone]
    assert {row.point.seed for row in made.mine()} == {0}


def test_steps_are_even_between_readings() -> None:
    steps = Steps([Reading(10.0, 100.0, 0.0), Reading(11.0, 160.0, 0.0), Reading(13.0, 160.0, 0.0)])
    assert [steps.at(at) for at in (9.0, 10.5, 11.0, 12.0, 20.0)] == [100.0, 130.0, 160.0, 160.0, 160.0]


def test_arms_name_servers_that_there_are() -> None:
    assert len({arm.name for arm in ARMS}) == len(ARMS)
    assert servers_of((FCFS, "Dynasor", "allocation only")) == ("stock", PLUGIN)
    assert live_arm("Dynasor by priority").priority == "vllm"
    with pytest.raises(UnknownName):
        live_arm("Dynasaur")


@pytest.mark.slow
def test_what_cannot_be_is_refused(tmp_path: Path, source: str) -> None:
    for arguments, words in (
        (["--engine", "vllm", source, source], "give one"),
        (["--engine", "vllm", source, "--cap", "8", "--no-runs", "--out", str(tmp_path)], "leave out --no-runs"),
        (["--engine", "vllm", "--arm", "Dynasaur"], "Dynasaur"),
        ([], "no TRACES"),
    ):
        result = CliRunner().invoke(main, ["bench", "online", *arguments])
        assert result.exit_code == 2, result.output
        assert words in result.output


def test_rows_are_found_again(tmp_path: Path) -> None:
    point = LivePoint(
        digest="d",
        arm=FCFS,
        server="stock",
        ordering="",
        policy="even",
        in_flight=False,
        due=False,
        seed=0,
        programs=1,
        cap=1,
        slots=8,
        load=1.0,
        rate=1.0,
        base_s=1.0,
    )
    assert point in {point: 0}
    path = tmp_path / "rows.jsonl"
    path.write_text('{"row":"torn')
    assert LiveRows(path).points == {}
    path.write_text("something else\n")
    with pytest.raises(UsageError, match="no rows of this study"):
        LiveRows(path)
