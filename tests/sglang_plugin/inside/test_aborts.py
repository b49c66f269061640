"""Aborts by program, through the methods of SGLang's own tokenizer and scheduler."""

from types import SimpleNamespace
from typing import Any

import pytest
from sglang.srt.managers.io_struct import AbortReq
from sglang.srt.managers.scheduler import Scheduler
from sglang.srt.managers.tokenizer_manager import TokenizerManager

from dynasor.sglang_plugin.hooks import Hooks
from dynasor.sglang_plugin.rids import prefix, rid
from dynasor.sglang_plugin.settings import Settings

LIVE = [rid("p", "0"), rid("p", "1"), rid("p", "10"), rid("p1", "0")]


@pytest.fixture
def tokenizer(published: None) -> Any:
    """As far as it aborts: its requests, and where it sends aborts."""
    sent: list[AbortReq] = []
    states = {id: SimpleNamespace(abort_sent=False) for id in LIVE}
    return SimpleNamespace(rid_to_state=states, sent=sent, _dispatch_to_scheduler=sent.append, enable_metrics=False)


def abort(tokenizer: Any, told: str) -> list[str]:
    Hooks(Settings()).aborted(TokenizerManager.abort_request, tokenizer, told)
    return [request.rid for request in tokenizer.sent]


def test_by_itself_sglang_drops_the_prefix_of_a_program(tokenizer: Any) -> None:
    TokenizerManager.abort_request(tokenizer, prefix("p"))
    assert tokenizer.sent == []


def test_with_the_plugin_it_cuts_all_branches_of_the_program(tokenizer: Any) -> None:
    assert abort(tokenizer, prefix("p")) == LIVE[:3]
    assert abort(tokenizer, prefix("p")) == LIVE[:3], "each once"


def test_one_branch_is_still_one_branch(tokenizer: Any) -> None:
    assert abort(tokenizer, LIVE[1]) == [LIVE[1]]


def test_the_scheduler_cuts_a_branch_and_not_those_that_begin_alike(published: None, req: Any) -> None:
    queue, released = [req(id) for id in LIVE], list[Any]()
    nothing = SimpleNamespace(abort_requests=lambda told: None, retire_group=lambda request: None)
    scheduler: Any = SimpleNamespace(
        chunked_req=None,
        mm_receiver=None,
        waiting_queue=queue,
        beam_coordinator=nothing,
        grammar_manager=nothing,
        dllm_config=None,
        disaggregation_mode=None,
        _release_aborted_request=released.append,
        send_abort_output=lambda told, request: None,
        collect_inflight_reqs=list,
    )
    Scheduler.abort_request(scheduler, AbortReq(rid=LIVE[1]))
    assert [request.rid for request in released] == [LIVE[1]]
    assert [request.rid for request in queue] == [LIVE[0], *LIVE[2:]]
