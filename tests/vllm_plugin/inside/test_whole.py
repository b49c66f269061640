"""A whole engine, model included, under both schedulers by turns."""

from pathlib import Path

import pytest

pytest.importorskip("vllm.config")  # tests/vllm is not what is asked for


def test_both_schedulers_do_the_same_work_by_turns(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    from dynasor.bench.plugin_whole import windows  # vLLM reads these when its engine is made

    rows = list(windows(model, 2))
    assert [row.arm for row in rows] == ["fcfs", "dynasor", "dynasor", "fcfs", "dynasor", "fcfs", "fcfs", "dynasor"]
    for turn in (0, 1):
        assert len({row.tokens for row in rows if row.turn == turn}) == 1, "every window of a round has the same work"
    assert all(0 < row.cpu_s < 60 and 48 <= row.steps <= 128 for row in rows)
