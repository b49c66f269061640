"""Every name of SGLang that the plug-in leans on: where one is gone or takes other arguments, this says which."""

import inspect
from typing import Any

import pytest
from sglang.srt.managers.schedule_batch import FINISH_ABORT, FINISH_LENGTH, ReqKvInfo, ScheduleBatch
from sglang.srt.managers.schedule_policy import CacheAgnosticPolicy, SchedulePolicy
from sglang.srt.managers.scheduler import Scheduler
from sglang.srt.managers.tokenizer_manager import TokenizerManager
from sglang.srt.plugins import GENERAL_PLUGINS_GROUP
from sglang.srt.plugins.hook_registry import HookType

from dynasor.sglang_plugin.version import check_version


def test_this_is_an_sglang_that_was_tested() -> None:
    check_version()


@pytest.mark.parametrize(
    ("owner", "name", "parameters"),
    [
        (SchedulePolicy, "calc_priority", ["self", "waiting_queue", "running_batch", "processed_tokens"]),
        (ScheduleBatch, "_get_decode_retraction_order", ["reqs"]),
        (TokenizerManager, "abort_request", ["self", "rid", "abort_all"]),
        (Scheduler, "abort_request", ["self", "recv_req"]),
    ],
)
def test_methods_that_are_hooked(owner: type, name: str, parameters: list[str]) -> None:
    assert [*inspect.signature(getattr(owner, name)).parameters] == parameters


def test_what_a_request_is_asked_for(req: Any) -> None:
    made = req("p/0.", custom_params={"dynasor_program": "p"}, session_id="s")
    assert (made.rid, made.session_id) == ("p/0.", "s")
    assert made.sampling_params.custom_params == {"dynasor_program": "p"}
    assert (len(made.output_ids), made.finished(), made.kv.holds_kv) == (0, False, False)
    made.kv.req_pool_idx = 3
    assert made.kv.holds_kv
    made.finished_reason = FINISH_LENGTH(0)
    assert made.finished()
    assert [reason.to_json()["type"] for reason in (FINISH_LENGTH(0), FINISH_ABORT())] == ["length", "abort"]
    assert isinstance(ReqKvInfo.holds_kv, property)


def test_where_its_hooks_are() -> None:
    assert GENERAL_PLUGINS_GROUP == "sglang.srt.plugins"
    assert {kind.name for kind in HookType} >= {"AFTER", "AROUND"}
    assert CacheAgnosticPolicy.FCFS.value == "fcfs"


def test_where_its_configuration_is(published: None) -> None:
    from types import SimpleNamespace

    from dynasor.sglang_plugin.surroundings import Surroundings, look_around

    policy = SimpleNamespace(policy=CacheAgnosticPolicy.FCFS, enable_priority_scheduling=False)
    assert look_around(policy) == Surroundings("fcfs", False, "null", 1, True, 0)


def test_the_scheduler_of_sglang_aborts_by_prefix() -> None:
    source = inspect.getsource(Scheduler.abort_request)
    assert "req.rid.startswith(recv_req.rid)" in source
