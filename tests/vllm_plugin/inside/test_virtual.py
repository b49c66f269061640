"""Programs in virtual time on vLLM's own scheduler and on the simulated engine: the same instants, step by step."""

import json
from pathlib import Path
from random import Random

import pytest

pytest.importorskip("vllm.config")  # tests/vllm is not what is asked for

from dynasor.bench.virtual_engine import VirtualEngine
from dynasor.bench.virtual_rows import VirtualArm
from dynasor.launch.virtual_inside import row
from dynasor.request import Finish, ProgramId, RequestId
from dynasor.simulation.cost import Linear
from dynasor.simulation.kernel import SECOND
from dynasor.simulation.kv_cache import KvCache
from dynasor.simulation.limits import Limits
from dynasor.simulation.requests import SimulatedRequest

STATIC = "static:threshold=0.7,detect_at=5"


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Thirty problems of twenty answers of 5 to 150 tokens; half of the problems are easy."""
    random, rows = Random(0), []
    for place in range(30):
        wrong = 0.05 if place % 2 else 0.5
        answers = [str(random.randrange(9)) if random.random() < wrong else "A" for _ in range(20)]
        samples = [{"answer": one, "tokens": random.randint(5, 150), "correct": one == "A"} for one in answers]
        rows.append({"id": f"q{place}", "question": "w" * random.randint(40, 400), "gold": "A", "samples": samples})
    file = tmp_path / "made.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return file


def arm(trace: Path, **settings: object) -> VirtualArm:
    usual = {
        "trace": str(trace), "name": "made", "accelerator": "a100-llama-8b", "ordering": "dynasor", "policy": STATIC,
        "in_flight": False, "inside": False, "front": 64, "places": 64, "load": 0.9, "room": None, "programs": 60,
        "cap": 20, "seed": 0,
    }  # fmt: skip
    return VirtualArm(**(usual | settings))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "settings",
    [{"ordering": "fcfs", "policy": "even", "front": 1024}, {}, {"in_flight": True}],
    ids=str,
)
def test_with_memory_enough_every_program_ends_at_the_same_instant(
    trace: Path, model: Path, settings: dict[str, object]
) -> None:
    found = row(arm(trace, **settings), model, VirtualEngine)
    assert found.simulated == found.vllm
    assert found.furthest == 0.0
    assert found.vllm.preemptions == 0
    assert found.vllm.hit_share > 0.3
    assert found.vllm.steps > 300


def test_the_scheduler_inside_is_told_by_requests_and_so_knows_a_little_later(trace: Path, model: Path) -> None:
    found = row(arm(trace, inside=True, front=1024), model, VirtualEngine)
    assert found.simulated.steps == pytest.approx(found.vllm.steps, rel=0.02)
    assert abs(found.mean_error) < 0.03
    assert abs(found.p90_error) < 0.05


def test_where_requests_are_preempted_latencies_differ_by_little(trace: Path, model: Path) -> None:
    found = row(arm(trace, room=10), model, VirtualEngine)
    assert found.vllm.preemptions > 50
    assert found.simulated.preemptions == pytest.approx(found.vllm.preemptions, rel=0.15)
    assert abs(found.mean_error) < 0.04
    assert abs(found.p90_error) < 0.04


def test_a_request_that_is_cut_ends_with_the_step_that_computes_it_and_a_waiting_one_at_once(model: Path) -> None:
    cost = Linear(step_s=1.0, sequence_s=0.0, prompt_token_s=0.0, kv_token_s=0.0)
    engine = VirtualEngine(cost, KvCache(100, 16), Limits(sequences=1), model)
    first, second = (RequestId(ProgramId("p"), index) for index in range(2))
    for id in (first, second):
        engine.submit(SimulatedRequest(id=id, prompt_tokens=20, output_tokens=50), 0)
    assert engine.start(0) == SECOND
    assert engine.cancel(first, SECOND // 2) is None
    waiting = engine.cancel(second, SECOND // 2)
    assert waiting is not None
    assert (waiting.finish, waiting.tokens, waiting.admitted_at) == (Finish.CANCELLED, 0, None)
    (cut,) = engine.finish()
    assert (cut.id, cut.finish, cut.tokens, cut.ended_at) == (first, Finish.CANCELLED, 1, 1.0)
    assert engine.start(SECOND) is None
    assert not engine.has(first)
