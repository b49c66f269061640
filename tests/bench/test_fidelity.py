"""A live engine whose times are known is simulated without error, where the model is right."""

import msgspec
import pytest

from dynasor.bench.fidelity import Place, at_pace, capacity_of, pace_of, pooled, replayed, served
from dynasor.datasets.problem import Problem
from dynasor.programs.program import Setup
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.request import Completion, Sampling
from dynasor.scheduling.fcfs import Fcfs
from dynasor.scheduling.gang import Gang
from dynasor.simulation.cost import Linear
from dynasor.simulation.limits import Limits
from dynasor.simulation.models import Model
from dynasor.wiring import make_policy, session_maker
from support.timed_engine import TimedEngine, VirtualClock

ARRIVALS = [0.0, 0.5, 0.6, 3.0]


def sessions(tokens: int):  # type: ignore[no-untyped-def]
    made, _ = make_policy("even")
    session = session_maker(SelfConsistency, Setup(cap=4, sampling=Sampling(max_tokens=tokens)), made, in_flight=False)
    return lambda number: session(Problem(f"p{number}", "?"))


def line(step_s: float) -> Model:
    return Model(Linear(step_s=step_s, sequence_s=0, prompt_token_s=0, kv_token_s=0), 10_000, Limits(4, 64))


@pytest.mark.parametrize("place", [Place(Fcfs()), Place(Gang(), 3)])
@pytest.mark.parametrize("step_s", [0.01, 0.02])
async def test_a_model_is_off_by_what_it_is_wrong(step_s: float, place: Place) -> None:
    """Programs of four requests of 50 tokens at 10 ms each, on an engine of four places, of which three may be used."""
    clock = VirtualClock()
    engine = TimedEngine(clock, slots=4, token_s=0.01)
    lived = await clock.play(served(engine, clock, sessions(50), ARRIVALS, place))
    pairs = replayed(lived, sessions(50), line(step_s), place)
    found = pooled([pairs])
    assert (found.programs, found.requests, found.tokens) == (4, 16, 800)
    assert found.live_p90_s == pytest.approx(0.9 if place.front_limit is None else 1.4, abs=0.05)
    assert found.mean_error == pytest.approx(0.0, abs=0.01) if step_s == 0.01 else found.mean_error > 0.9
    assert 0.3 < found.utilisation <= 1.0
    assert len(pairs.live) == len(pairs.simulated) == 4
    assert pooled([pairs, pairs]).programs == 8


class Counting(TimedEngine):
    """Counts prompts, as measuring asks."""

    async def ready(self) -> list[Completion]:
        return [msgspec.structs.replace(completion, prompt_tokens=16) for completion in await super().ready()]


async def test_an_engine_that_is_slower_than_when_it_was_fitted_is_found_out() -> None:
    clock = VirtualClock()
    engine = Counting(clock, slots=4, token_s=0.015)
    assert await clock.play(pace_of(engine, clock, line(0.01))) == pytest.approx(1.5, rel=0.01)


async def test_a_model_at_the_pace_of_a_machine_that_became_slower_is_right_again() -> None:
    clock, place = VirtualClock(), Place(Gang(), 3)
    engine = TimedEngine(clock, slots=4, token_s=0.015)
    lived = await clock.play(served(engine, clock, sessions(50), ARRIVALS, place))
    as_fitted = pooled([replayed(lived, sessions(50), line(0.01), place)])
    paced = pooled([replayed(lived, sessions(50), at_pace(line(0.01), 1.5), place)])
    assert as_fitted.mean_error < -0.3
    assert paced.mean_error == pytest.approx(0.0, abs=0.01)
    assert paced.p90_error == pytest.approx(0.0, abs=0.01)


async def test_what_a_model_can_do_is_found_by_a_burst() -> None:
    """Four programs of four answers of half a second, one program at a time."""
    clock = VirtualClock()
    engine = TimedEngine(clock, slots=4, token_s=0.5)
    capacity = capacity_of(engine, clock, sessions(50), 4, line(0.01), Place(Fcfs()))
    assert await clock.play(capacity) == pytest.approx(2.0, rel=0.1)
