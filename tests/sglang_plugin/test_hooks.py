"""The hooks, without SGLang: what they do with what it hands them."""

from types import SimpleNamespace
from typing import Any

import pytest

from dynasor.errors import UsageError
from dynasor.sglang_plugin.hooks import Hooks
from dynasor.sglang_plugin.rids import prefix, rid
from dynasor.sglang_plugin.settings import Settings
from dynasor.sglang_plugin.surroundings import Surroundings

ALONE = Surroundings("fcfs", has_priorities=False, disaggregation="null", rank_count=1, is_first=True, engine=0)


def hooks(around: Surroundings = ALONE, **settings: Any) -> Hooks:
    return Hooks(Settings(**settings), lambda policy: around)


class Tokenizer:
    """SGLang's `TokenizerManager` as far as it aborts: what none of its requests has, it drops."""

    def __init__(self, *rids: str) -> None:
        self.rid_to_state = dict.fromkeys(rids)
        self.sent: list[str] = []

    def abort_request(self, rid: str = "", abort_all: bool = False) -> None:
        if abort_all or rid in self.rid_to_state:
            self.sent.append("*" if abort_all else rid)


def aborted(tokenizer: Tokenizer, *args: Any, **kwargs: Any) -> list[str]:
    hooks().aborted(Tokenizer.abort_request, tokenizer, *args, **kwargs)
    return tokenizer.sent


def test_the_prefix_of_a_program_cuts_all_its_branches() -> None:
    live = [rid("p", "0"), rid("p", "1"), rid("p0", "0")]
    assert aborted(Tokenizer(*live), prefix("p")) == live[:2]
    assert aborted(Tokenizer(*live), rid=live[2]) == live[2:]
    assert aborted(Tokenizer(*live), prefix("q")) == []


def test_an_abort_of_everything_stays_one() -> None:
    assert aborted(Tokenizer(rid("p", "0")), abort_all=True) == ["*"]
    assert aborted(Tokenizer(rid("p", "0")), prefix("p"), True) == ["*"]


def test_in_a_process_without_a_scheduler_nothing_is_ordered() -> None:
    idle, queue = hooks(), [object()]
    idle.ordered(None, None, queue)
    assert idle.preempted([0], queue) is None


def test_a_scheduler_that_orders_otherwise_is_refused() -> None:
    refused = hooks(Surroundings("lpm", False, "null", 1, True, 0))
    with pytest.raises(UsageError, match="policy lpm"):
        refused.made(None, SimpleNamespace())
    assert refused.order is None


def test_victims_are_left_to_sglang_where_that_is_asked() -> None:
    left = hooks(orders_victims=False)
    left.made(None, SimpleNamespace())
    assert left.preempted([1, 0], []) is None
    ours = hooks()
    ours.made(None, SimpleNamespace())
    assert ours.preempted([], []) == []


def test_time_is_counted_in_tokens_where_that_is_asked() -> None:
    counted = hooks(tokens_per_s=10.0)
    counted.made(None, SimpleNamespace())
    counted.ordered(None, None, [], None, 50)
    assert counted.order is not None
    assert counted.order.progress_s(0, 10.0) == 5.0
