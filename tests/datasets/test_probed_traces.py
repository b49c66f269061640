from pathlib import Path
from typing import Any

import pytest

from dynasor.datasets.probed_traces import Probe, ProbedChain, ProbedRecording, read_probed
from dynasor.datasets.problem import Problem
from dynasor.errors import BadRow, UsageError
from support.traces import PROBED, STEPWISE, write_trace


def test_probes_within_the_reasoning(tmp_path: Path) -> None:
    trace = read_probed(write_trace(tmp_path / "model__set.jsonl", PROBED))
    assert (trace.name, trace.is_stepwise) == ("model__set", False)
    probes = (Probe(20, "A", 0.9), Probe(40, "A", 0.1), Probe(60, "B", 0.9), Probe(80, "B", 0.9))
    assert trace.recordings == (ProbedRecording(Problem("p1", "?", "B"), (ProbedChain("B", 110, probes),)),)


def test_the_ends_of_steps_are_probes_but_for_the_chains_own(tmp_path: Path) -> None:
    trace = read_probed(write_trace(tmp_path / "t.jsonl", STEPWISE))
    assert trace.is_stepwise
    assert trace.recordings[0].chains == (ProbedChain("7.0", 60, (Probe(30, "7"), Probe(50, None))),)


@pytest.mark.parametrize(
    ("samples", "fault"),
    [
        ([], "without 'probes' or 'steps'"),
        ([{"answer": "1", "tokens": 3, "correct": True}], "without 'probes' or 'steps'"),
        ([{"answer": "1", "tokens": 3, "probes": [{"f": 0.5}]}], "missing required field `tok`"),
    ],
)
def test_what_is_no_probed_chain(samples: list[Any], fault: str, tmp_path: Path) -> None:
    path = write_trace(tmp_path / "t.jsonl", PROBED, PROBED | {"samples": samples})
    with pytest.raises(BadRow, match=rf"t\.jsonl, line 2: .*{fault}"):
        read_probed(path)


def test_an_empty_trace(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no recordings"):
        read_probed(write_trace(tmp_path / "t.jsonl"))
