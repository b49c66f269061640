"""What the plug-in hooks into SGLang: the order of the queue, who is preempted, and aborts by program.

SGLang logs whatever a plug-in raises and starts without it. So a plug-in that was asked for and cannot be had ends the
process with its message: nobody measures the order of SGLang and takes it for ours.
"""

import os
import sys
from collections.abc import Callable
from typing import Any, Final

from dynasor.clock import Clock, WallClock
from dynasor.errors import UsageError
from dynasor.inside.ranking import Ranking
from dynasor.sglang_plugin.metrics import Nowhere, Shown, open_metrics
from dynasor.sglang_plugin.order import QueueOrder
from dynasor.sglang_plugin.rids import branches
from dynasor.sglang_plugin.settings import Settings, read_settings
from dynasor.sglang_plugin.surroundings import Surroundings, look_around
from dynasor.sglang_plugin.version import check_version

_POLICY: Final = "sglang.srt.managers.schedule_policy.SchedulePolicy"
MADE: Final = f"{_POLICY}.__init__"
ORDERED: Final = f"{_POLICY}.calc_priority"
PREEMPTED: Final = "sglang.srt.managers.schedule_batch.ScheduleBatch._get_decode_retraction_order"
ABORTED: Final = "sglang.srt.managers.tokenizer_manager.TokenizerManager.abort_request"


class Hooks:
    """The plug-in in one process, which has one scheduler at most.

    Attributes:
        clock: aging and memory are measured by it, where time is not counted in tokens.
        order: the queue's; None before a scheduler is made.
    """

    def __init__(self, settings: Settings, look: Callable[[Any], Surroundings] = look_around) -> None:
        """Read nothing of SGLang yet.

        Args:
            settings: what the user set.
            look: tells where a policy of SGLang's is.

        Raises:
            UsageError: the ordering is none.
        """
        Ranking(settings)  # so that a server with an ordering that is none does not load its model first
        self.clock: Clock = WallClock()
        self.order: QueueOrder[Any] | None = None
        self._settings = settings
        self._look = look
        self._shown: Shown = Nowhere()

    def made(self, result: None, policy: Any, *args: Any, **kwargs: Any) -> None:
        """After `SchedulePolicy.__init__`: a scheduler of SGLang's begins.

        Raises:
            UsageError: it would not order as the plug-in does.
        """
        around = self._look(policy)
        around.check(self._settings)
        self.order = QueueOrder(Ranking(self._settings))
        self._shown = open_metrics(around.engine, is_first=around.is_first)

    def ordered(
        self, result: None, policy: Any, waiting_queue: list[Any], running_batch: Any = None, processed_tokens: int = 0
    ) -> None:
        """After `SchedulePolicy.calc_priority`: SGLang has room, and takes from the front."""
        if self.order is not None:
            self.order.arrange(waiting_queue, self._now(processed_tokens))
            self._shown.show(self.order.ranking.counters)

    def preempted(self, result: list[int], reqs: list[Any]) -> list[int] | None:
        """After `ScheduleBatch._get_decode_retraction_order`: memory is short, and the last of these gives up its."""
        if self.order is None or not self._settings.orders_victims:
            return None
        return self.order.kept(reqs, self._now(0))

    def aborted(self, original: Callable[..., Any], tokenizer: Any, rid: str = "", abort_all: bool = False) -> None:
        """Around `TokenizerManager.abort_request`: the prefix of a program means all its branches.

        SGLang's schedulers go by prefixes, but with one tokenizer it drops an id that none of its requests has.
        """
        if not abort_all:
            for branch in branches(list(tokenizer.rid_to_state), rid):
                original(tokenizer, branch)
        original(tokenizer, rid, abort_all)

    def _now(self, prompt_tokens: int) -> float:
        if self.order is None or not self._settings.tokens_per_s:
            return self.clock.now()
        return self.order.progress_s(prompt_tokens, self._settings.tokens_per_s)


def register() -> None:
    """SGLang calls it in every process of a server; without DYNASOR_SGLANG it does nothing."""
    try:
        settings = read_settings(os.environ)
        if settings is None:
            return
        check_version()
        hooks = Hooks(settings)
    except UsageError as fault:
        sys.stderr.write(f"dynasor.sglang_plugin: {fault}\n")
        raise SystemExit(fault.exit_code) from None
    install(hooks)


def install(hooks: Hooks) -> None:
    """Tell SGLang of the hooks, which it applies once all plug-ins have been asked."""
    from sglang.srt.plugins.hook_registry import HookRegistry, HookType  # noqa: PLC0415

    HookRegistry.register(MADE, hooks.made, HookType.AFTER)
    HookRegistry.register(ORDERED, hooks.ordered, HookType.AFTER)
    HookRegistry.register(PREEMPTED, hooks.preempted, HookType.AFTER)
    HookRegistry.register(ABORTED, hooks.aborted, HookType.AROUND)
