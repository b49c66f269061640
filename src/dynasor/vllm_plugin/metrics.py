"""The plug-in's counters in vLLM's own `/metrics`: the entry point `dynasor` of the group `vllm.general_plugins`.

vLLM calls `register` in every process of a server. The first, which answers `/metrics` or starts those that do, names
a folder for boards, and reads what engines have written there whenever it is asked for metrics.
"""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from secrets import token_hex
from typing import Any

from prometheus_client.core import REGISTRY, CounterMetricFamily, GaugeMetricFamily

from dynasor.inside.counters import GAUGES, TOTALS
from dynasor.vllm_plugin.counters import FOLDER_VARIABLE, boards


class BoardCollector:
    """Shows what is on the boards; nothing before an engine of ours has started."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def describe(self) -> list[Any]:
        """Nothing that is known before it is asked for."""
        return []

    def collect(self) -> Iterator[Any]:
        """All figures, each with the engines that it is of."""
        shown = {engine: asdict(counters) for engine, counters in boards(self._folder)}
        kinds = ((GaugeMetricFamily, GAUGES), (CounterMetricFamily, TOTALS))
        for kind, name, told in ((kind, *entry) for kind, names in kinds for entry in names.items() if shown):
            family = kind(f"dynasor:{name}", told, labels=["engine"])
            for engine, figures in shown.items():
                family.add_metric([engine], figures[name])
            yield family


def register() -> None:
    """Once for each server, in its first process; further calls do nothing."""
    if FOLDER_VARIABLE in os.environ:
        return
    folder = Path(tempfile.gettempdir()) / f"dynasor-vllm-{os.getpid()}-{token_hex(4)}"
    os.environ[FOLDER_VARIABLE] = str(folder)
    REGISTRY.register(BoardCollector(folder))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
