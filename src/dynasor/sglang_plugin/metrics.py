"""The plug-in's counters in SGLang's own `/metrics`, of a server that was started with `--enable-metrics`.

SGLang's processes share their figures in a folder that an environment variable names; whoever counts by
prometheus_client after that is set is shown with them.
"""

import os
from dataclasses import asdict
from typing import Any, Final, Protocol

from dynasor.inside.counters import GAUGES, TOTALS, Counters

FOLDER_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Set by SGLang where it shows metrics, and only there."""
ABSENT: Final = frozenset({"blocks_spared"})
"""What is counted in vLLM only."""


class Shown(Protocol):
    """Where figures are shown."""

    def show(self, counters: Counters) -> None:
        """Show all figures."""
        ...


class Nowhere:
    """For servers without metrics, and for ranks that do what the first does."""

    def show(self, counters: Counters) -> None:
        """Nothing."""


class Metrics:
    """Figures of one engine."""

    def __init__(self, engine: str) -> None:
        from prometheus_client import Counter, Gauge  # noqa: PLC0415  (it looks for the folder when it is imported)

        self._gauges: dict[str, Any] = {
            name: Gauge(f"dynasor:{name}", told, ["engine"], multiprocess_mode="mostrecent").labels(engine)
            for name, told in GAUGES.items()
        }
        self._totals: dict[str, Any] = {
            name: Counter(f"dynasor:{name}", told, ["engine"]).labels(engine)
            for name, told in TOTALS.items()
            if name not in ABSENT
        }
        self._last = asdict(Counters())

    def show(self, counters: Counters) -> None:
        """Show all figures; those that have not changed cost next to nothing."""
        figures = asdict(counters)
        for name, gauge in self._gauges.items():
            if figures[name] != self._last[name]:
                gauge.set(figures[name])
        for name, total in self._totals.items():
            if figures[name] != self._last[name]:
                total.inc(figures[name] - self._last[name])
        self._last = figures


def open_metrics(engine: int, *, is_first: bool) -> Shown:
    """Where the figures of an engine are shown."""
    return Metrics(str(engine)) if is_first and FOLDER_VARIABLE in os.environ else Nowhere()
