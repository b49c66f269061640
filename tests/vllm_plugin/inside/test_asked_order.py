"""The plug-in of experiments: its order changes while nothing is there, and it then remembers nothing."""

from collections.abc import Callable

import pytest

pytest.importorskip("vllm.config")  # tests/vllm is not what is asked for

from vllm.sampling_params import SamplingParams
from vllm.v1.request import Request

from dynasor.bench.online_inside import AskedOrder
from dynasor.bench.online_live_arms import ORDERING
from dynasor.bench.plugin_engine import Engine, prompt
from dynasor.inside.tags import Tags, encoded
from dynasor.vllm_plugin.scheduler import ProgramScheduler

Made = Callable[..., Engine]


@pytest.fixture
def asked(engine: Made, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setattr("dynasor.vllm_plugin.ProgramScheduler", AskedOrder, raising=False)
    made = engine("gang", slots=1)
    assert type(made.scheduler) is AskedOrder
    assert issubclass(AskedOrder, ProgramScheduler)
    return made


def submit(engine: Engine, id: str, *, left: float | None = None) -> None:
    engine.submit(id, prompt(len(id), 0), 4, tags=Tags(program=id, remaining_tokens=left))


def ask(engine: Engine, id: str, order: str) -> None:
    """A request that names an order."""
    told = {**encoded(Tags(program=id)), ORDERING: order}
    sampling = SamplingParams(max_tokens=1, ignore_eos=True, extra_args=told)
    request = Request(
        request_id=id,
        prompt_token_ids=[1] * 8,
        sampling_params=sampling,
        pooling_params=None,
        arrival_time=0.0,
        block_hasher=engine._hasher,
    )
    engine.scheduler.add_request(request)


def test_an_order_is_taken_while_nothing_is_there(asked: Engine) -> None:
    submit(asked, "first")
    asked.run()
    assert asked.scheduler.ranking.counters.started == 1
    ask(asked, "order", "sjf")
    asked.run()
    assert asked.scheduler.settings.ordering == "sjf"
    assert asked.scheduler.ranking.counters.started == 1, "counters begin anew"
    for id, left in (("long", 90.0), ("short", 9.0), ("middling", 50.0)):
        submit(asked, id, left=left)
    asked.run()
    assert asked.order[-3:] == ["short", "middling", "long"]


def test_no_order_is_taken_while_others_are_there(asked: Engine) -> None:
    submit(asked, "first")
    asked.step()
    ask(asked, "order", "sjf")
    asked.run()
    assert asked.scheduler.settings.ordering == "gang"
    assert asked.scheduler.ranking.counters.started == 2


def test_blocks_are_still_spared_after_a_change(asked: Engine) -> None:
    ask(asked, "order", "sjf")
    asked.run()
    submit(asked, "more")
    asked.run()
    chance = asked.scheduler._chance
    assert chance is not None
    assert chance._held, "blocks that were let go of are noted by the new one"
    assert all(owner in ("more", "order") for held in chance._held.values() for owner in held.owners)
