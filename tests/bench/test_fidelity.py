"""A live engine whose times are known is simulated without error, where the model is right."""

import pytest

from dynasor.bench.fidelity import compared
from dynasor.datasets.problem import Problem
from dynasor.programs.program import Setup
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.request import Sampling
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


@pytest.mark.parametrize("step_s", [0.01, 0.02])
async def test_a_model_is_off_by_what_it_is_wrong(step_s: float) -> None:
    """Programs of four requests of 50 tokens at 10 ms each, on an engine of four places."""
    clock = VirtualClock()
    engine = TimedEngine(clock, slots=4, token_s=0.01)
    model = Model(Linear(step_s=step_s, sequence_s=0, prompt_token_s=0, kv_token_s=0), 10_000, Limits(4, 64))
    found = await clock.play(compared(engine, clock, sessions(50), ARRIVALS, model))
    assert (found.programs, found.requests, found.tokens) == (4, 16, 800)
    assert found.live_p90_s == pytest.approx(0.9, abs=0.05)
    assert found.mean_error == pytest.approx(0.0, abs=0.01) if step_s == 0.01 else found.mean_error > 0.9
