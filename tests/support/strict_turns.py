"""A test and a server that is up already take strict turns on the processor, where that is allowed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from dynasor.bench.process_time import group_times
from dynasor.bench.round_robin import round_robin
from dynasor.bench.vllm_server import VLLMServer


@contextmanager
def strict_turns(server: VLLMServer) -> Iterator[None]:
    """For as long as this lasts, its client is not kept from the processor by an engine that yields in a loop."""
    with round_robin() as allowed:
        threads = list(group_times(server.pid or 0)) if allowed else []
        _schedule(threads, os.SCHED_RR, 1)
        try:
            yield
        finally:
            _schedule(threads, os.SCHED_OTHER, 0)


def _schedule(threads: list[int], policy: int, priority: int) -> None:
    for thread in threads:
        with suppress(ProcessLookupError):
            os.sched_setscheduler(thread, policy, os.sched_param(priority))
