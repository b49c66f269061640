"""Strict turns on the processor for a live measurement, where the system allows them.

vLLM's engine waits for its worker by yielding its core in a loop. Some Linux kernels (6.18 among them) then leave other
processes on that core without it for seconds, the client and the API server first: on two cores, requests come in
bursts that nobody sent. Under the round-robin policy a yield hands the core on.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

_PRIORITY = 1  # the least there is


@contextmanager
def round_robin() -> Iterator[bool]:
    """Have this thread, and whatever it starts, take turns; gives whether that is so, for which it takes privileges."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(_PRIORITY))
    except (AttributeError, OSError):
        yield False
        return
    try:
        yield True
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
