"""The scheduler inside vLLM, whose order a client chooses while nothing else is there: many arms on one server.

It runs in the interpreter of vLLM, and is for experiments: a change of order also forgets all lengths that were
learned, so that every arm begins as on a server that has just been started.
"""

from typing import Any

import msgspec

from dynasor.bench.online_live_arms import ORDERING
from dynasor.vllm_plugin.scheduler import ProgramScheduler


class AskedOrder(ProgramScheduler):
    """The plug-in, in the order that the first request of all asked for."""

    def add_request(self, request: Any) -> None:
        """A request arrives; one that comes when no other is there may name an order."""
        own: Any = self
        told = (getattr(request.sampling_params, "extra_args", None) or {}).get(ORDERING)
        if isinstance(told, str) and not own.requests:
            self.order_by(msgspec.structs.replace(self.settings, ordering=told))
        super().add_request(request)
