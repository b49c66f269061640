"""vLLM's two scheduler classes, with queue, victims of preemption and eviction of blocks by programs.

One mixin stands over both. `ProgramScheduler` is the class to name: where vLLM schedules asynchronously, it is an
`AsyncProgramScheduler`. This is the only module that imports vLLM; what it leans on there is listed in the contract
test, tests/vllm_plugin/inside/test_contract.py.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vllm.v1.core.sched.async_scheduler import AsyncScheduler
from vllm.v1.core.sched.request_queue import SchedulingPolicy
from vllm.v1.core.sched.scheduler import Scheduler

from dynasor.clock import Clock, WallClock
from dynasor.errors import UsageError
from dynasor.inside.ranking import SETTLED_TOKENS
from dynasor.inside.tags import read_tags
from dynasor.vllm_plugin.counters import FOLDER_VARIABLE, Board
from dynasor.vllm_plugin.eviction import SecondChance
from dynasor.vllm_plugin.queue import ProgramQueue
from dynasor.vllm_plugin.ranking import Ranking
from dynasor.vllm_plugin.settings import Settings, read_settings

_SHOWN_S = 0.1  # that counters may be behind while requests run; when none is left they are shown at once


class ProgramOrder:
    """Mixed in before a scheduler of vLLM's.

    Attributes:
        clock: the engine's; aging, grace and memory are measured by it.
        settings: what it was told to do.
        ranking: the scheduler and what it counts.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        own: Any = self  # as vLLM's class, which types cannot tell
        if own.policy != SchedulingPolicy.FCFS:
            raise UsageError("the plug-in orders requests itself; leave out --scheduling-policy priority")
        self.clock: Clock = WallClock()
        self._pool: Any = own.kv_cache_manager.block_pool
        self.order_by(read_settings(os.environ, own.vllm_config.additional_config))
        if self._chance is not None:
            self._give_second_chances()
        self._shown_until = 0.0
        self._board = self._open_board(own.vllm_config.parallel_config.data_parallel_index)

    def order_by(self, settings: Settings) -> None:
        """Begin anew, as told; only while there are no requests. It does not change whether blocks are spared."""
        self.settings = settings
        self.ranking = Ranking(settings)
        self.waiting: ProgramQueue[Any] = ProgramQueue(self.ranking)
        spares = settings.spares_blocks and self._pool.enable_caching
        self._chance = SecondChance(self._pool.free_block_queue, self.ranking.is_live) if spares else None

    def add_request(self, request: Any) -> None:
        """A request arrives, or more of one that is streamed in."""
        own: Any = self
        if request.request_id not in own.requests:
            entries = getattr(request.sampling_params, "extra_args", None)  # pooling requests have no sampling
            self.ranking.arrive(request.request_id, read_tags(request.session_id, entries), self.clock.now())
        super().add_request(request)  # type: ignore[misc]

    def schedule(self, *args: Any, **kwargs: Any) -> Any:
        """One step: what vLLM decides, in our order."""
        own: Any = self
        now = self.clock.now()
        self.ranking.step(now)
        self._settle(now)
        self.waiting.begin_step(now)
        output = super().schedule(*args, **kwargs)  # type: ignore[misc]
        self.waiting.end_step()
        if self._board is not None and (now >= self._shown_until or not own.running):
            self._board.show(self.ranking.counters)
            self._shown_until = now + _SHOWN_S
        return output

    def _free_request(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """A request has ended or was aborted, waiting or running."""
        returned = super()._free_request(request, *args, **kwargs)  # type: ignore[misc]
        self.ranking.end(request.request_id, request.num_output_tokens, self.clock.now())
        return returned

    def _free_request_blocks(self, request: Any) -> Any:
        """A request lets go of its blocks, because it has ended or was preempted."""
        program = self.ranking.program(request.request_id)
        if self._chance is not None and program is not None:  # a connector may hold blocks beyond a request's end
            self._chance.note(program, self._blocks(request))
        return super()._free_request_blocks(request)  # type: ignore[misc]

    def _settle(self, now: float) -> None:
        """Tell the ranking what was generated, and line up victims; only where either makes a difference."""
        own: Any = self
        room = len(own.running) < own.max_num_active_reqs and len(self.waiting) > 0
        needed = len(own.running) + own.max_num_scheduled_tokens // own.block_size
        short = self.settings.orders_victims and self._pool.get_num_free_blocks() < needed
        if not (room or short):
            return
        due = self.ranking.due
        grown = [it for it in own.running if it.num_output_tokens >= due.get(it.request_id, SETTLED_TOKENS)]
        for request in grown:
            self.ranking.grow(request.request_id, request.num_output_tokens, now)
        if short:  # vLLM preempts the last
            own.running.sort(key=lambda request: self.ranking.key(request.request_id, now))

    def _blocks(self, request: Any) -> Iterable[Any]:
        own: Any = self
        groups = own.kv_cache_manager.get_blocks(request.request_id).blocks
        return (block for group in groups for block in group if block.pool in (None, self._pool))

    def _give_second_chances(self) -> None:
        """Have blocks of live programs moved out of the way whenever blocks are taken."""
        take = self._pool.get_new_blocks

        def get_new_blocks(num_blocks: int) -> Any:
            if self._chance is not None:
                self.ranking.counters.blocks_spared += self._chance.spare(num_blocks)
            return take(num_blocks)

        self._pool.get_new_blocks = get_new_blocks

    def _open_board(self, engine: int) -> Board | None:
        folder = os.environ.get(FOLDER_VARIABLE)
        return Board(Path(folder), engine) if folder else None


class ProgramScheduler(ProgramOrder, Scheduler):  # type: ignore[misc]
    """The scheduler to name; it becomes the asynchronous one where vLLM schedules asynchronously."""

    def __new__(cls, *args: Any, **kwargs: Any) -> "ProgramScheduler":
        """Choose by vLLM's configuration."""
        config = kwargs["vllm_config"] if "vllm_config" in kwargs else args[0]
        if cls is ProgramScheduler and config.scheduler_config.async_scheduling:
            cls = AsyncProgramScheduler
        return object.__new__(cls)


class AsyncProgramScheduler(ProgramScheduler, AsyncScheduler):  # type: ignore[misc]
    """The same over vLLM's asynchronous scheduler."""
