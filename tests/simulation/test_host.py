"""Sessions and schedulers in virtual time: order, what is told, cuts, replicas and faults."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynasor.allocation.allocator import InRounds
from dynasor.allocation.overload import Overload
from dynasor.answers.grouping import ByText
from dynasor.datasets.probed_traces import Probe, ProbedChain
from dynasor.datasets.problem import Problem
from dynasor.errors import UsageError
from dynasor.programs.probed import ProbedCot
from dynasor.programs.program import Setup
from dynasor.programs.session import Session
from dynasor.request import Finish, RequestId, Sample
from dynasor.scheduling.aging import Aging
from dynasor.scheduling.app_fifo import AppFifo
from dynasor.scheduling.deadline import EarliestDeadline
from dynasor.scheduling.fcfs import Fcfs
from dynasor.scheduling.gang import Gang
from dynasor.scheduling.ordering import Ordering, Place
from dynasor.scheduling.prefix import Prefix
from dynasor.scheduling.sjf import Sjf
from dynasor.scheduling.table import Row
from dynasor.scheduling.waiting import Waiting
from dynasor.simulation.fleet import Fault, Fleet
from dynasor.simulation.host import simulate
from dynasor.simulation.limits import Limits
from dynasor.simulation.oracle import Oracle
from dynasor.simulation.outcome import SimulatedRun
from dynasor.simulation.plan import PlannedProgram, SimulationPlan
from dynasor.simulation.requests import Served
from dynasor.wiring import make_policy, session_maker
from support.scenario import FIG_7, GANG_SJF, Scenario
from support.scripted import session_of
from support.simulated_programs import ends, fleet, plan, planned

STOPS_AT_TWO = "static:threshold=0.7,detect_at=2"


def scripted(scenario: Scenario, machines: Fleet) -> tuple[SimulatedRun, list[RequestId]]:
    """A scenario of all hosts, and its requests in the order of their admission."""
    programs = [
        PlannedProgram(
            arrives_at=program.arrives_at,
            session=lambda program=program: session_of(program),  # type: ignore[misc]
            samples=[Sample("a", program.tokens)] * program.cap,
            prompt_tokens=1,
        )
        for program in scenario.programs
    ]
    served: list[Served] = []
    run = simulate(SimulationPlan(programs, machines), served.append)
    return run, [one.id for one in sorted(served, key=lambda one: one.admitted_at or 0.0)]


@pytest.mark.parametrize("front_limit", [None, 1])
def test_the_scenario_of_all_hosts(front_limit: int | None) -> None:
    machines = fleet(Gang(Sjf()), sequences=1, front_limit=front_limit)
    run, order = scripted(GANG_SJF, machines)
    assert order == list(GANG_SJF.order)
    assert ends(run) == GANG_SJF.ends_at


@pytest.mark.parametrize("front_limit", [None, 2])
def test_fig_7(front_limit: int | None) -> None:
    run, order = scripted(FIG_7, fleet(Gang(Sjf()), sequences=2, front_limit=front_limit))
    assert order == list(FIG_7.order)
    assert ends(run) == FIG_7.ends_at
    assert run.summary()["mean_s"] == 6.5


class InTurns:
    """A request of each program, then the next of each: the sequential scheduling of Fig. 7."""

    def place(self, program: Row, request: Waiting, now: float) -> Place:
        return Place((program.in_flight, program.rank))


def test_fig_7_in_turns_takes_longer() -> None:
    before = [planned(f"before {i}", 0.0, [1]) for i in range(2)]  # so that both wait when the places come free
    two = [planned("one", 0.0, [4, 4]), planned("two", 0.0, [5, 5])]
    for ordering, mean in ((InTurns(), 9.0), (Gang(), 6.5)):
        ended = ends(simulate(plan([*before, *two], fleet(ordering))))
        assert (ended["one"] + ended["two"]) / 2 - ended["before 1"] == mean


def test_a_certain_program_stops_and_an_uncertain_one_goes_on() -> None:
    sure = planned("sure", 0.0, [3, 3, 3, 3], policy=STOPS_AT_TWO)
    unsure = planned("unsure", 0.0, [3, 3, 3, 3], policy=STOPS_AT_TWO, answers=["a", "b", "a", "a"])
    rows = {row.program: row for row in simulate(plan([sure, unsure], fleet(sequences=8))).rows}
    assert (rows["sure"].knob, rows["sure"].tokens, rows["sure"].ended_at) == (2, 6, 3.0)
    assert (rows["unsure"].knob, rows["unsure"].tokens, rows["unsure"].ended_at) == (4, 12, 6.0)
    assert rows["sure"].stopped_by == "certain"
    assert rows["unsure"].stopped_by == "cap"
    assert [rows[name].answer for name in ("sure", "unsure")] == ["a", "a"]


@pytest.mark.parametrize(("front_limit", "cut"), [(None, [2, 0]), (3, [2, 0]), (2, [0, 0])])
def test_what_is_in_flight_is_cut_and_counted_as_far_as_it_came(front_limit: int | None, cut: list[int]) -> None:
    """Two agree after 2 s; what runs is then cut with its tokens, what waits without any."""
    program = planned("p", 0.0, [2, 2, 50, 50], policy=STOPS_AT_TWO, in_flight=True)
    served: list[Served] = []
    (row,) = simulate(plan([program], fleet(sequences=3, front_limit=front_limit)), served.append).rows
    assert [one.tokens for one in served if one.finish is Finish.CANCELLED] == cut
    assert (row.tokens, row.ended_at) == (4 + sum(cut), 2.0)


def test_a_recording_that_is_too_short_fails_the_branches_beyond_it() -> None:
    whole = planned("p", 0.0, [2, 2, 2])
    short = PlannedProgram(
        arrives_at=0.0, session=whole.session, samples=whole.samples[:2], prompt_tokens=1, correct=whole.correct
    )
    (row,) = simulate(SimulationPlan([short], fleet())).rows
    assert row.answer == "a"
    assert row.tokens == 4


@pytest.mark.parametrize(
    ("ordering", "ended"), [(Sjf(), {"fresh": 12.0, "unsure": 24.0}), (Gang(Sjf()), {"unsure": 20.0, "fresh": 24.0})]
)
def test_where_earlier_programs_stopped_tells_what_a_new_one_needs(ordering: Ordering, ended: dict[str, float]) -> None:
    """The first one stopped at two branches; so a new one is taken to be shorter than one that was granted six more."""
    first = planned("first", 0.0, [4] * 8, policy=STOPS_AT_TWO)
    unsure = planned("unsure", 1.0, [4] * 8, policy=STOPS_AT_TWO, answers=["a", "b", *"aaaaaa"])
    fresh = planned("fresh", 5.0, [4] * 8, policy=STOPS_AT_TWO)
    assert ends(simulate(plan([first, unsure, fresh], fleet(ordering)))) == {"first": 4.0} | ended


def test_the_oracle_knows_what_comes() -> None:
    programs = [planned("block", 0.0, [1, 1]), planned("long", 0.0, [9, 9]), planned("short", 0.5, [2, 2])]
    totals = {"block": 2, "long": 18, "short": 4}
    assert ends(simulate(plan(programs, fleet(Oracle(lambda program: totals[program]))))) == {
        "block": 1.0,
        "short": 3.0,
        "long": 12.0,
    }


def test_deadlines_reach_the_ordering_and_the_row() -> None:
    programs = [
        planned("block", 0.0, [2, 2]),
        planned("easy", 0.5, [3, 3], deadline=100.0),
        planned("urgent", 1.0, [3, 3], deadline=6.0),
    ]
    run = simulate(plan(programs, fleet(EarliestDeadline())))
    assert {row.program: row.in_time for row in run.rows} == {"block": None, "urgent": True, "easy": True}
    assert ends(run)["urgent"] == 5.0
    late = simulate(plan(programs, fleet(Fcfs())))
    assert late.summary()["slo_attainment"] == 0.5


def test_a_prompt_is_computed_once_for_a_program() -> None:
    run = simulate(plan([planned("p", 0.0, [5] * 4, prompt=64)], fleet(sequences=1)))
    (row,) = run.rows
    assert row.prefix_tokens == 4 * 64
    assert row.cached_tokens == 3 * 48, "the last block is computed anew: its last token gives the first new one"
    assert run.work.prompt_tokens == 64 + 3 * 16


def test_lpm_goes_by_what_the_cache_holds() -> None:
    """Of three that wait, the one whose prompt is cached goes first, though it came last."""
    machines = Fleet(cost=fleet().cost, cache_tokens=10_000, ordering=Prefix, limits=fleet(sequences=1).limits)
    rounds = planned("rounds", 0.0, [4, 4, 4, 4], prompt=64, policy=STOPS_AT_TWO, answers=["a", "b", "a", "a"])
    other = planned("other", 1.0, [4, 4], prompt=64)
    served: list[Served] = []
    simulate(plan([rounds, other], machines), served.append)
    assert [(one.id.program, one.id.index) for one in served] == [
        *(("rounds", index) for index in range(2)),
        *(("rounds", index) for index in range(2, 4)),
        ("other", 0),
        ("other", 1),
    ]


class LeastServed:
    """Programs take turns, so that prompts of those that wait lie idle in the cache."""

    def place(self, program: Row, request: Waiting, now: float) -> Place:
        return Place((program.attained_tokens, program.rank))


def contended(*, keeps_live: bool) -> SimulatedRun:
    """Three programs of several requests take turns with six of one, with memory for the prompts of three."""
    programs = [
        planned("a", 0.0, [2] * 3, prompt=64),
        planned("b", 0.0, [2] * 6, prompt=64),
        *(planned(f"single {i}", 0.1, [2], prompt=64) for i in range(6)),
        planned("late", 1.0, [2] * 4, prompt=64),
    ]
    return simulate(plan(programs, fleet(LeastServed(), sequences=1, cache_tokens=12 * 16, keeps_live=keeps_live)))


def test_what_live_programs_need_is_kept() -> None:
    """Ten requests are not the first of their program: kept, each finds its prompt but for the last block."""
    kept, least_recent = contended(keeps_live=True), contended(keeps_live=False)
    assert kept.work.hit_tokens == 10 * 48
    assert least_recent.work.hit_tokens == 8 * 48
    assert kept.work.evicted_blocks < least_recent.work.evicted_blocks


def test_the_victim_is_the_last_in_the_schedulers_order() -> None:
    """Two run and memory runs out: the program that was begun later gives way, though it was admitted first."""
    programs = [planned("early", 0.0, [40], prompt=16), planned("late", 0.5, [40], prompt=16)]
    run = simulate(plan(programs, fleet(AppFifo(), cache_tokens=5 * 16)))
    preempted = {row.program: row.preemptions for row in run.rows}
    assert preempted["early"] == 0
    assert preempted["late"] > 0
    assert run.work.preemptions == sum(preempted.values())


def test_programs_spread_over_replicas_and_each_stays_on_one() -> None:
    programs = [planned(name, 0.0, [3, 3, 3, 3], prompt=64) for name in "abcd"]
    run = simulate(plan(programs, fleet(sequences=4, replicas=4)))
    assert ends(run) == dict.fromkeys("abcd", 3.0)
    assert run.summary()["utilisation"] == 1.0


@pytest.mark.parametrize("front_limit", [None, 2])
@pytest.mark.parametrize(("replicas", "ended"), [(1, {"p": 20.0, "q": 22.0}), (2, {"p": 13.0, "q": 15.0})])
def test_a_replica_that_dies_loses_work_and_nothing_else(
    replicas: int, ended: dict[str, float], front_limit: int | None
) -> None:
    """Dead from 3 s to 10 s: alone, all waits for it; with another, that one starts anew at once."""
    machines = fleet(replicas=replicas, front_limit=front_limit, faults=(Fault(0, 3.0, 10.0),))
    run = simulate(plan([planned("p", 0.0, [5] * 4), planned("q", 4.0, [2, 2])], machines))
    assert ends(run) == ended
    assert {row.program: (row.tokens, row.reissued) for row in run.rows} == {"p": (20, 4), "q": (4, 0)}


def test_faults_that_cannot_be() -> None:
    with pytest.raises(UsageError, match=r"replica 0 dies at 5 s and is back at 4 s"):
        Fault(0, 5, 4)
    with pytest.raises(UsageError, match="replica 3 is to die, and there are 1"):
        fleet(faults=(Fault(3, 1.0, 2.0),))
    with pytest.raises(UsageError, match="0 replicas"):
        fleet(replicas=0)
    with pytest.raises(UsageError, match="in front of an engine is 0"):
        fleet(front_limit=0)


ORDERINGS = (Fcfs(), Gang(Sjf()), Aging(Gang(Sjf()), 2.0, 1.0), Sjf())


def stress(
    seed: int, front_limit: int | None, ordering: Ordering, stretch: int = 1 << 30, entry_s: float = 0.1
) -> SimulatedRun:
    """Programs of all sizes on two small replicas, which die now and then; half of them may be cut in flight."""
    rng = Random(f"{seed}/stress")
    programs = []
    at_s = 0.0
    for number in range(12):
        at_s += rng.expovariate(0.2)
        count = rng.randint(2, 6)
        programs.append(
            planned(
                f"p{number}",
                at_s,
                [rng.randint(1, 30) for _ in range(count)],
                policy=rng.choice(("even", STOPS_AT_TWO, "decided")),
                answers=[rng.choice("ab") for _ in range(count)],
                in_flight=rng.random() < 0.5,
                prompt=rng.randint(1, 40),
            )
        )
    faults = tuple(Fault(rng.randrange(2), at, at + 9.5) for at in (rng.uniform(0, 40), rng.uniform(50, 90)))
    machines = fleet(
        ordering, sequences=3, cache_tokens=160, replicas=2, front_limit=front_limit, faults=faults, request_s=0.25
    )
    machines = replace(machines, limits=Limits(3, 4096, stretch), entry_s=entry_s)
    return simulate(plan(programs, machines))


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 10**6), front_limit=st.sampled_from((None, 1, 4)), ordering=st.sampled_from(ORDERINGS))
def test_every_program_is_answered_once_whatever_happens(
    seed: int, front_limit: int | None, ordering: Ordering
) -> None:
    run = stress(seed, front_limit, ordering)
    assert sorted(row.program for row in run.rows) == sorted(f"p{number}" for number in range(12))
    assert all(row.arrived_at <= row.ended_at for row in run.rows)
    assert all(row.tokens >= row.knob for row in run.rows), "every branch that turned the knob has a token"
    again = stress(seed, front_limit, ordering)
    assert msgspec.json.encode(again.rows) == msgspec.json.encode(run.rows), "the same seed gives the same bytes"
    stepped = stress(seed, front_limit, ordering, stretch=1)
    assert msgspec.json.encode(stepped.rows) == msgspec.json.encode(run.rows), "so does one step at a time"


def test_requests_are_read_one_after_the_other() -> None:
    """Each takes a second, beside the steps; the third waits for two others."""
    run = simulate(plan([planned("p", 0.0, [2, 2, 2])], fleet(sequences=4, entry_s=1.0)))
    assert ends(run) == {"p": 5.0}
    assert run.rows[0].started_at == 1.0


@pytest.mark.parametrize("front_limit", [None, 8])
def test_what_is_cut_while_it_is_read_has_cost_nothing(front_limit: int | None) -> None:
    """Two have ended at 4 s: then one runs, one has just been read, and two are not yet."""
    program = planned("p", 0.0, [2, 2, 50, 50, 50, 50], policy=STOPS_AT_TWO, in_flight=True)
    served: list[Served] = []
    machines = fleet(sequences=8, front_limit=front_limit, entry_s=1.0)
    (row,) = simulate(plan([program], machines), served.append).rows
    cut = [one for one in served if one.finish is Finish.CANCELLED]
    assert [one.tokens for one in cut if one.admitted_at is None] == [0, 0, 0]
    assert len(cut) == 4
    assert row.ended_at == pytest.approx(5.0, abs=1.01)


def test_prompts_that_are_not_shared_are_computed_each_time() -> None:
    programs = [planned("p", 0.0, [2, 2], prompt=64)]
    shared, apart = (simulate(plan(programs, fleet(sequences=1, shares_prefixes=each))) for each in (True, False))
    assert (shared.work.prompt_tokens, apart.work.prompt_tokens) == (64 + 16, 128)


def test_allocation_is_told_the_time_and_the_pace() -> None:
    """Four branches of ten seconds, one at a time: by 25 s two are served, and what would be late is not granted."""
    overload = Overload()

    def due(name: str) -> PlannedProgram:
        whole = planned(name, 0.0, [10, 10, 10, 10], answers=["a", "b", "a", "b"])
        program = whole.session().program
        session = Session(
            program,
            overload.due(program.id, 25.0, InRounds(make_policy("stepped:threshold=1.0,step=1,detect_at=1")[0])),
        )
        return replace(whole, session=lambda: session)

    (row,) = simulate(SimulationPlan([due("p")], fleet(sequences=1), overload)).rows
    assert row.stopped_by == "deadline"
    assert row.knob < 4
    assert overload.now == row.ended_at
    assert overload.tokens_per_s is not None
    assert 0.9 < overload.tokens_per_s < 1.5, "one request, a token a second"


def probed(name: str, *, told: Sequence[str | None], policy: str, answer: str = "B") -> PlannedProgram:
    """A chain of 100 tokens that was asked after every ten."""
    chain = ProbedChain(answer, 100, tuple(Probe(10 * (place + 1), each) for place, each in enumerate(told)))
    session = session_maker(ProbedCot, Setup(cap=12, grouping=ByText), make_policy(policy)[0], in_flight=False)
    return PlannedProgram(
        arrives_at=0.0, session=lambda: session(Problem(name, "?")), samples=(), prompt_tokens=16, chain=chain
    )


TWICE = "stepped:threshold=1.0,detect_at=2,step=1"


@pytest.mark.parametrize("stretch", [1, 1 << 30])
def test_a_chain_is_probed_where_it_was_and_cut_once_its_probes_agree(stretch: int) -> None:
    """Probes of eight tokens at 10, 20 and 30; the last two agree, and the chain has gone on in the meantime."""
    machines = replace(fleet(sequences=4), limits=Limits(4, 4096, stretch))
    served: list[Served] = []
    chains = [probed("cut", told=["A", "C", "C"], policy=TWICE), probed("whole", told=["A"] * 9, policy="even")]
    run = simulate(plan(chains, machines), served.append)
    cut, whole = sorted(run.rows, key=lambda row: row.program)
    assert (cut.answer, cut.knob, cut.tokens, cut.ended_at) == ("C", 3, 38 + 3 * 8, 38.0)
    assert (whole.answer, whole.tokens, whole.ended_at) == ("B", 100 + 9 * 8, 100.0)
    assert [one.tokens for one in served if one.finish is Finish.CANCELLED] == [38]


def test_a_chain_without_memory_or_replica_is_written_anew_and_not_asked_twice() -> None:
    chains = [probed(name, told=["A"] * 9, policy="even") for name in ("p", "q")]
    short_of_memory = simulate(plan(chains, fleet(sequences=4, cache_tokens=160)))
    assert short_of_memory.work.preemptions > 0
    dead = simulate(plan(chains[:1], fleet(sequences=4, faults=(Fault(0, 35.5, 50.0),))))
    assert [row.answer for row in short_of_memory.rows] == ["B", "B"]
    assert all(0 < row.knob <= 9 for row in short_of_memory.rows), "a probe that waits lets milestones go by"
    assert [(row.answer, row.knob, row.ended_at) for row in dead.rows] == [("B", 9, 150.0)]
