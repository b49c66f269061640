from pathlib import Path
from typing import Any

import pytest

from dynasor.datasets.search_traces import RecordedPath, SearchRecording, read_searches
from dynasor.errors import BadRow, UsageError
from support.traces import BEAM, LOGGED, LOGIT, PROBED, write_trace


def read(tmp_path: Path, *rows: dict[str, Any]) -> SearchRecording:
    return read_searches(write_trace(tmp_path / "t.jsonl", *rows)).recordings[0]


def test_samples_stand_apart_from_the_first_search(tmp_path: Path) -> None:
    recording = read(tmp_path, BEAM)
    assert recording.samples == (RecordedPath("y", 10, (0.9, 0.2)), RecordedPath("x", 12, (0.5, 0.8)))
    assert recording.found == (RecordedPath("x", 90, (0.9,)),)
    assert recording.problem.verdicts == {"x": 1.0, "y": 0.0}


def test_rewards_that_are_no_probabilities_become_some(tmp_path: Path) -> None:
    trace = read_searches(write_trace(tmp_path / "t.jsonl", LOGIT))
    assert trace.is_squashed
    rewards = [path.rewards[0] for path in trace.recordings[0].samples]
    assert rewards == pytest.approx([0.5, 0.018, 0.982], abs=0.001)
    assert not read_searches(write_trace(tmp_path / "u.jsonl", BEAM)).is_squashed


def test_the_log_of_a_search(tmp_path: Path) -> None:
    recording = read(tmp_path, LOGGED)
    assert recording.samples == ()
    assert recording.found == (RecordedPath("4 * 6", 500, (0.5, 1.0)), RecordedPath(None, 500, (1.0, 0.0)))
    assert recording.problem.verdicts == {"4 * 6": 1.0}


@pytest.mark.parametrize(
    ("first", "second", "fault"),
    [
        (BEAM, PROBED, "without 'reward' or 'step_rewards'"),
        (LOGGED, LOGGED | {"final": []}, "needs 'steps', 'final' and 'final_correct'"),
        (LOGGED, LOGGED | {"final": ["a\n", "c\n"]}, "through none of the selected"),
        (LOGGED, LOGGED | {"steps": 3}, "Expected `array`"),
    ],
)
def test_what_is_none(first: dict[str, Any], second: dict[str, Any], fault: str, tmp_path: Path) -> None:
    with pytest.raises(BadRow, match=rf"t\.jsonl, line 2: .*{fault}"):
        read(tmp_path, first, second)


def test_an_empty_trace(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no recordings"):
        read(tmp_path)
