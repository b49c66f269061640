"""What requests ask for, as it is read."""

from typing import Any

import msgspec
import pytest

from dynasor.errors import UsageError
from dynasor.gateway.asked import Asked
from dynasor.gateway.reasoning_settings import ReasoningSettings
from dynasor.gateway.reasoning_wish import Wish, Wishes
from dynasor.gateway.refusals import Refused
from dynasor.programs.probing import Probing

WISHES = Wishes(ReasoningSettings(efforts={"low": 5, "high": 20}), ["sc", "mcts", "probed-cot"])


def asked(**fields: Any) -> Asked:
    return msgspec.convert(fields, Asked)


@pytest.mark.parametrize(
    ("fields", "reasons"),
    [
        ({"model": "a"}, False),
        ({}, False),
        ({"model": "a@sc"}, True),
        ({"model": "a@sc:cap=3"}, True),
        ({"model": "a@v2"}, False),
        ({"model": "@sc"}, False),
        ({"model": "a@b@mcts"}, True),
        ({"dynasor": {}}, True),
        ({"dynasor": {"program_id": "x"}}, False),
        ({"dynasor": {"program_id": "x"}, "model": "a@sc"}, True),
        ({"dynasor": {"program_id": "x", "cap": 3}}, True),
        ({"dynasor": {"saving_effort": "mid"}}, True),
        ({"dynasor": {"saving_effort": "none"}}, False),
        ({"dynasor": "sc"}, True),  # to be refused
        ({"adaptive_compute": {"mode": "prompting"}}, True),
        ({"reasoning_effort": "low"}, True),
        ({"reasoning_effort": "medium"}, False),
        ({"reasoning_effort": "none"}, False),
    ],
)
def test_which_requests_ask_for_reasoning(fields: dict[str, Any], reasons: bool) -> None:
    assert WISHES.is_one(asked(**fields)) is reasons


@pytest.mark.parametrize(
    ("fields", "wish"),
    [
        ({"model": "a@mcts:parallel=2,cap=9"}, Wish(model="a", algorithm="mcts", told={"parallel": "2"}, cap=9)),
        ({"model": "a@sc", "dynasor": {"algorithm": "sc", "cap": 4}}, Wish(model="a", algorithm="sc", cap=4)),
        ({"model": "a@sc:cap=4", "dynasor": {"cap": 5}}, Wish(model="a", algorithm="sc", cap=5)),
        ({"model": "a", "reasoning_effort": "high"}, Wish(model="a", algorithm="sc", cap=20)),
        ({"model": "a", "reasoning_effort": "high", "dynasor": {"cap": 2}}, Wish(model="a", algorithm="sc", cap=2)),
        (
            {"model": "a", "dynasor": {"algorithm": "mcts:expand=3", "settings": {"parallel": 2}, "policy": "even"}},
            Wish(model="a", algorithm="mcts", told={"expand": "3"}, settings={"parallel": 2}, policy="even"),
        ),
        (
            {"dynasor": {"deadline_s": 2, "token_budget": 9, "alternatives": True, "progress": "events"}},
            Wish(model=None, algorithm="sc", deadline_s=2, token_budget=9, alternatives=True, progress="events"),
        ),
        (
            {"model": "a", "dynasor": {"saving_effort": "mid", "program_id": "x"}},
            Wish(model="a", algorithm="probed-cot", probing=Probing(effort="mid")),
        ),
        (
            {"model": "a", "dynasor": {"probe_interval": 16, "certainty_window": 3}},
            Wish(model="a", algorithm="probed-cot", probing=Probing(interval=16, window=3)),
        ),
        (
            {"model": "a@probed-cot", "adaptive_compute": {"probe_text": "?", "token_interval": 8}},
            Wish(model="a", algorithm="probed-cot", probing=Probing(suffix="?", interval=8)),
        ),
    ],
)
def test_what_they_ask_for(fields: dict[str, Any], wish: Wish) -> None:
    assert WISHES.read(asked(**fields)) == wish


@pytest.mark.parametrize(
    ("fields", "param", "told"),
    [
        (
            {"dynasor": {"algorithm": "best"}},
            "dynasor.algorithm",
            "unknown algorithm 'best' (known: mcts, probed-cot, sc)",
        ),
        ({"dynasor": {"algorithm": "my.py:Mine"}}, "dynasor.algorithm", "is not an option"),
        ({"model": "a@sc:cap"}, "model", "is not an option"),
        ({"dynasor": {"cup": 3}}, "dynasor", "unknown field `cup`; it may have program_id, algorithm, cap"),
        ({"dynasor": {"progress": "loud"}}, "dynasor", "Invalid enum value 'loud'"),
        ({"dynasor": {"policy": "../x.toml"}}, "dynasor.policy", "files are the gateway's own"),
        ({"dynasor": {"policy": ""}}, "dynasor.policy", "must be a rule"),
        ({"dynasor": {"saving_effort": "mid"}, "adaptive_compute": {}}, "adaptive_compute", "give one of them"),
        ({"dynasor": {"saving_effort": "huge"}}, "dynasor", "must be one of mild"),
        ({"model": "a@mcts", "dynasor": {"saving_effort": "mid"}}, "dynasor", "leave one of them out"),
        ({"dynasor": {"cap": 0}}, "dynasor.cap", "must be 1 to 64"),
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, Any], param: str, told: str) -> None:
    with pytest.raises(Refused) as refused:
        WISHES.read(asked(**fields))
    assert (refused.value.status, refused.value.param) == (400, param)
    assert told in refused.value.told


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"cap": 0}, "reasoning.cap is 0; it must be 1 or more"),
        ({"cap": 65}, "reasoning.cap is 65; it must be 1 to reasoning.max_cap, 64"),
        ({"efforts": {"low": 0}}, "reasoning.efforts.low is 0"),
        ({"temperature": 3.0}, "reasoning.temperature is 3.0; it must be 0 to 2"),
    ],
)
def test_settings_that_cannot_be(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told.replace(".", "[.]")):
        ReasoningSettings(**fields)
