"""Mean completion of programs in engine steps, over 10 seeds: vLLM's own scheduler classes, with and without us."""

from pathlib import Path
from statistics import mean

import pytest

pytest.importorskip("vllm.config")  # tests/vllm is not what is asked for

from dynasor.bench.plugin_steps import ARMS, play

SEEDS = range(10)
EXPECTED: dict[tuple[str, int], dict[str, float]] = {
    ("burst", 1): {
        "fcfs": 962.055,
        "priority by estimate": 405.675,
        "gang": 606.715,
        "history": 517.875,
        "estimates": 406.845,
        "estimates and aging": 406.845,
    },
    ("burst", 2): {
        "fcfs": 980.610,
        "priority by estimate": 416.430,
        "gang": 617.615,
        "history": 528.840,
        "estimates": 417.650,
        "estimates and aging": 417.650,
    },
    ("rounds", 1): {
        "fcfs": 892.320,
        "priority by estimate": 498.070,
        "gang": 642.915,
        "history": 584.345,
        "estimates": 496.905,
        "estimates and aging": 497.735,
    },
    ("rounds", 2): {
        "fcfs": 911.120,
        "priority by estimate": 509.250,
        "gang": 658.640,
        "history": 600.865,
        "estimates": 509.505,
        "estimates and aging": 508.960,
    },
}


@pytest.mark.parametrize(("workload", "in_flight"), EXPECTED)
def test_every_arm_takes_as_many_steps_as_it_did(workload: str, in_flight: int, model: Path) -> None:
    expected = EXPECTED[workload, in_flight]
    points = {
        arm.name: [play(workload, arm, in_flight, seed, model) for seed in SEEDS]
        for arm in ARMS
        if arm.name in expected
    }
    assert {arm: mean(point.mean_steps for point in played) for arm, played in points.items()} == pytest.approx(
        expected
    )
