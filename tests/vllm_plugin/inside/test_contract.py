"""Every name of vLLM that the plug-in leans on: where one is gone or takes other arguments, this says which."""

import inspect
from typing import Any

import pytest

pytest.importorskip("vllm.config")  # tests/vllm is not what is asked for

from vllm.config import SchedulerConfig, VllmConfig
from vllm.v1.core.block_pool import BlockPool
from vllm.v1.core.kv_cache_manager import KVCacheBlocks, KVCacheManager
from vllm.v1.core.kv_cache_utils import FreeKVCacheBlockQueue, KVCacheBlock
from vllm.v1.core.sched.async_scheduler import AsyncScheduler
from vllm.v1.core.sched.request_queue import FCFSRequestQueue, RequestQueue
from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.request import Request

from dynasor.vllm_plugin.queue import ProgramQueue
from dynasor.vllm_plugin.version import check_version


def test_this_is_a_vllm_that_was_tested() -> None:
    check_version()


@pytest.mark.parametrize(
    ("owner", "name", "parameters"),
    [
        (Scheduler, "add_request", ["request"]),
        (Scheduler, "schedule", ["throttle_prefills"]),
        (Scheduler, "_free_request", ["request", "delay_free_blocks"]),
        (Scheduler, "_free_request_blocks", ["request"]),
        (KVCacheManager, "get_blocks", ["request_id"]),
        (BlockPool, "get_new_blocks", ["num_blocks"]),
        (BlockPool, "get_num_free_blocks", []),
        (FreeKVCacheBlockQueue, "remove", ["block"]),
        (FreeKVCacheBlockQueue, "append_n", ["blocks"]),
    ],
)
def test_methods_that_are_overridden_or_called(owner: type, name: str, parameters: list[str]) -> None:
    assert [*inspect.signature(getattr(owner, name)).parameters] == ["self", *parameters]


def test_both_schedulers_do_what_is_overridden_in_one_place() -> None:
    ours = {"add_request", "schedule", "_free_request", "_free_request_blocks"}
    assert issubclass(AsyncScheduler, Scheduler)
    assert not ours & set(vars(AsyncScheduler))


def test_the_queue_has_all_methods_of_vllms() -> None:
    assert RequestQueue.__abstractmethods__ <= set(dir(ProgramQueue)) | {"__bool__"}
    for name in RequestQueue.__abstractmethods__ - {"__bool__"}:
        ours, stock = (inspect.signature(getattr(owner, name)) for owner in (ProgramQueue, RequestQueue))
        assert [*ours.parameters] == [*stock.parameters], name


def test_what_the_scheduler_is_asked_for(engine: Any) -> None:
    scheduler = engine().scheduler
    for name in ("policy", "running", "requests", "kv_holding_waiting", "vllm_config"):
        assert hasattr(scheduler, name), name
    for name in ("max_num_active_reqs", "max_num_scheduled_tokens", "block_size"):
        assert isinstance(getattr(scheduler, name), int), name
    assert type(scheduler.kv_holding_waiting) is FCFSRequestQueue
    assert scheduler.vllm_config.parallel_config.data_parallel_index == 0
    pool = scheduler.kv_cache_manager.block_pool
    assert pool.enable_caching is True
    assert pool.free_block_queue.fake_free_list_head.next_free_block is pool.free_block_queue.get_all_free_blocks()[0]
    assert hasattr(pool.free_block_queue, "fake_free_list_tail")


def test_the_scheduler_loads_it_by_this_name() -> None:
    assert "scheduler_cls" in SchedulerConfig.__dataclass_fields__
    assert "async_scheduling" in SchedulerConfig.__dataclass_fields__
    assert "additional_config" in VllmConfig.__dataclass_fields__
    assert "blocks" in KVCacheBlocks.__dataclass_fields__
    assert {"block_id", "pool", "next_free_block"} <= set(KVCacheBlock.__dataclass_fields__)
    assert isinstance(KVCacheBlock.block_hash, property)


def test_what_a_request_tells(engine: Any) -> None:
    request = engine().submit("a", [1, 2, 3], 1)
    assert isinstance(request, Request)
    for name in ("request_id", "session_id", "sampling_params", "num_output_tokens"):
        assert hasattr(request, name), name
    assert hasattr(request.sampling_params, "extra_args")
