"""SGLang's own policy and requests, hooked by SGLang's own registry."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sglang.srt.managers.schedule_batch import FINISH_LENGTH, ScheduleBatch
from sglang.srt.managers.schedule_policy import SchedulePolicy
from sglang.srt.managers.tokenizer_manager import TokenizerManager
from sglang.srt.mem_cache.radix_cache import RadixCache
from sglang.srt.plugins import load_plugins_by_group
from sglang.srt.plugins.hook_registry import HookRegistry

from dynasor.errors import UsageError
from dynasor.inside.tags import Tags, encoded
from dynasor.sglang_plugin import hooks
from dynasor.sglang_plugin.hooks import Hooks, install
from dynasor.sglang_plugin.rids import rid
from dynasor.sglang_plugin.settings import Settings

TARGETS = {
    SchedulePolicy: ("__init__", "calc_priority"),
    ScheduleBatch: ("_get_decode_retraction_order",),
    TokenizerManager: ("abort_request",),
}


@pytest.fixture(autouse=True)
def unhooked(published: None) -> Iterator[None]:
    """SGLang as it is, before and after."""
    stock = [(owner, name, vars(owner)[name]) for owner, names in TARGETS.items() for name in names]
    HookRegistry.reset()
    yield
    HookRegistry.reset()
    for owner, name, value in stock:
        setattr(owner, name, value)


def policy(name: str = "fcfs", priorities: bool = False, **settings: Any) -> Any:
    install(Hooks(Settings(**settings)))
    HookRegistry.apply_hooks()
    return SchedulePolicy(name, RadixCache.create_simulated(), False, priorities, False)


def branches(req: Callable[..., Any]) -> list[Any]:
    """Two branches of each of three programs, as they might arrive."""
    needs = {"a": 300.0, "b": 100.0, "c": 200.0}
    return [
        req(rid(program, str(branch)), custom_params=encoded(Tags(remaining_tokens=tokens)))
        for branch in range(2)
        for program, tokens in needs.items()
    ]


def ids(queue: list[Any]) -> list[str]:
    return [request.rid for request in queue]


def run(request: Any, tokens: int = 0) -> Any:
    """As SGLang admits a request: it has a row in the pool."""
    request.kv.req_pool_idx = 0
    request.output_ids.extend([1] * tokens)
    return request


def test_without_the_plugin_it_is_first_come_first_served(req: Callable[..., Any]) -> None:
    queue = branches(req)
    came = ids(queue)
    SchedulePolicy("fcfs", RadixCache.create_simulated(), False, False, False).calc_priority(queue)
    assert ids(queue) == came


def test_programs_are_ganged_the_shortest_first(req: Callable[..., Any]) -> None:
    queue = branches(req)
    policy(ordering="gang+sjf").calc_priority(queue)
    assert ids(queue) == ["b/0.", "b/1.", "c/0.", "c/1.", "a/0.", "a/1."]


def test_slot_by_slot_programs_end_one_after_the_other(req: Callable[..., Any]) -> None:
    made, queue, ended = policy(ordering="gang+sjf"), branches(req), []
    for _ in range(6):
        made.calc_priority(queue)
        taken = run(queue[0], 10)
        queue = [request for request in queue if request is not taken]  # as SGLang does: a new list
        taken.finished_reason, taken.kv.req_pool_idx = FINISH_LENGTH(10), None
        ended.append(taken.rid)
    assert ended == ["b/0.", "b/1.", "c/0.", "c/1.", "a/0.", "a/1."]


def test_the_last_program_is_retracted_first(req: Callable[..., Any]) -> None:
    made, queue = policy(ordering="gang+sjf"), branches(req)
    made.calc_priority(queue)
    running = [run(request, tokens) for tokens, request in enumerate(queue)]
    made.calc_priority([req("new")])
    kept = [running[index].rid for index in ScheduleBatch._get_decode_retraction_order(running)]
    assert kept == ["b/0.", "b/1.", "c/0.", "c/1.", "a/0.", "a/1."]
    retracted = running.pop()
    retracted.kv.req_pool_idx = None
    waiting = [req("new"), retracted]
    made.calc_priority(waiting)
    assert ids(waiting) == ["a/1.", "new"], "its program has begun"


def test_left_to_sglang_the_one_with_the_fewest_tokens_is_retracted(req: Callable[..., Any]) -> None:
    made, queue = policy(ordering="gang+sjf", orders_victims=False), branches(req)
    made.calc_priority(queue)
    running = [run(request, tokens) for tokens, request in enumerate(queue)]
    assert ScheduleBatch._get_decode_retraction_order(running) == [5, 4, 3, 2, 1, 0]


@pytest.mark.parametrize(("name", "priorities"), [("lpm", False), ("lof", False), ("fcfs", True)])
def test_where_sglang_orders_otherwise_no_scheduler_is_made(name: str, priorities: bool) -> None:
    with pytest.raises(UsageError, match="the plug-in orders requests itself"):
        policy(name, priorities)


def test_sglang_finds_the_plugin_and_does_nothing_before_it_is_asked_to(monkeypatch: pytest.MonkeyPatch) -> None:
    found = load_plugins_by_group("sglang.srt.plugins")
    assert found["dynasor"] == (hooks.register, "dynasor-serve")
    monkeypatch.delenv("DYNASOR_SGLANG", raising=False)
    hooks.register()
    assert not HookRegistry._hooks
    monkeypatch.setenv("DYNASOR_SGLANG", "{}")
    hooks.register()
    assert set(HookRegistry._hooks) == {hooks.MADE, hooks.ORDERED, hooks.PREEMPTED, hooks.ABORTED}
