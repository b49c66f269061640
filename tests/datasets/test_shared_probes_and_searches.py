"""The larger public traces of probed chains and of rewarded paths, where they lie beside the checkout, as counted."""

import os
from pathlib import Path

import pytest

from dynasor.datasets.probed_traces import read_probed
from dynasor.datasets.problem import judge
from dynasor.datasets.search_traces import read_searches

_BESIDE_THE_CHECKOUT = Path(__file__).parents[2].parent / "shared" / "data"
TRACES = Path(os.environ.get("DYNASOR_SHARED_DATA", _BESIDE_THE_CHECKOUT)) / "traces"

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not TRACES.exists(), reason="the shared data sets are not here")]


@pytest.mark.parametrize(
    ("name", "problems", "chains", "probes", "right"),
    [
        ("gemma-4-12b__mmlu_pro_probed", 88, 880, 9, 476),
        ("mistral-7b__gsm8k_rethink_steps", 300, 400, 9, 137),
        ("qwen2.5-7b-4bit__gsm8k_rethink_steps", 300, 372, 9, 292),
    ],
)
def test_probed_chains(name: str, problems: int, chains: int, probes: int, right: int) -> None:
    recordings = read_probed(TRACES / f"{name}.jsonl.zst").recordings
    found = [(recording.problem, chain) for recording in recordings for chain in recording.chains]
    assert (len(recordings), len(found)) == (problems, chains)
    assert {len(chain.probes) for _, chain in found} == {probes}
    assert sum(judge(problem, chain.answer) or 0 for problem, chain in found) == right
    assert all(chain.probes[-1].at < chain.tokens for _, chain in found)


@pytest.mark.parametrize(
    ("name", "problems", "samples", "found", "right"),
    [
        ("gpt-4__game24_tot_bfs", 100, 0, 500, 119),
        ("qwen2.5-1.5b+math-shepherd__math500_search", 500, 1000, 500, 487 + 287),
        ("qwen2.5-math__math100_rm8", 100, 800, 0, 728),
    ],
)
def test_rewarded_paths(name: str, problems: int, samples: int, found: int, right: int) -> None:
    recordings = read_searches(TRACES / f"{name}.jsonl.zst").recordings
    assert len(recordings) == problems
    assert sum(len(recording.samples) for recording in recordings) == samples
    assert sum(len(recording.found) for recording in recordings) == found
    paths = [(each.problem, path) for each in recordings for path in (*each.samples, *each.found)]
    assert sum(judge(problem, path.answer) or 0 for problem, path in paths) == right
    assert all(0.0 <= reward <= 1.0 for _, path in paths for reward in path.rewards)
