import pytest
from prometheus_client import REGISTRY

from dynasor.inside.counters import GAUGES, TOTALS, Counters
from dynasor.sglang_plugin.metrics import ABSENT, FOLDER_VARIABLE, Metrics, Nowhere, open_metrics


def shown(name: str) -> float | None:
    return REGISTRY.get_sample_value(f"dynasor:{name}", {"engine": "7"})


def test_figures_are_shown_as_they_change() -> None:
    metrics = Metrics("7")
    metrics.show(Counters(programs=3, started=5))
    metrics.show(Counters(programs=2, started=9, victims=1))
    assert (shown("programs"), shown("started_total"), shown("victims_total")) == (2.0, 9.0, 1.0)
    assert all(shown(name) is not None for name in [*GAUGES, *(f"{name}_total" for name in TOTALS.keys() - ABSENT)])
    assert shown("blocks_spared_total") is None, "nobody spares blocks in SGLang"


def test_without_metrics_and_in_further_ranks_nothing_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    assert isinstance(open_metrics(0, is_first=True), Nowhere)
    monkeypatch.setenv(FOLDER_VARIABLE, "/folder")
    assert isinstance(open_metrics(0, is_first=False), Nowhere)
