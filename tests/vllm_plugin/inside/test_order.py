"""vLLM's own scheduler classes with the plug-in and without a model, step by step."""

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("vllm.config")  # tests/vllm is not what is asked for

from pathlib import Path

from vllm.v1.core.sched.async_scheduler import AsyncScheduler
from vllm.v1.request import RequestStatus

from dynasor.bench.plugin_engine import Engine, EngineOptions, make_engine, prompt
from dynasor.errors import UsageError
from dynasor.inside.tags import Tags
from dynasor.vllm_plugin.scheduler import AsyncProgramScheduler, ProgramScheduler
from dynasor.vllm_plugin.settings import Settings
from support.scenario import DEFAULT_TOKENS, FIG_7, GANG_SJF, Scenario, ScriptedProgram

Made = Callable[..., Engine]


def tags(program: str, tokens: float | None = None, **more: Any) -> Tags:
    return Tags(program=program, remaining_tokens=tokens, **more)


@pytest.mark.parametrize("in_flight", [1, 2])
def test_one_name_serves_both_of_vllms_schedulers(engine: Made, in_flight: int) -> None:
    kind = type(engine(in_flight=in_flight).scheduler)
    assert kind is (AsyncProgramScheduler if in_flight == 2 else ProgramScheduler)
    assert issubclass(kind, AsyncScheduler) == (in_flight == 2)


class Player:
    """Plays a scenario: one place, and a token takes a step."""

    def __init__(self, scenario: Scenario, engine: Engine) -> None:
        self.scenario, self.engine = scenario, engine
        self.to_come = sorted(scenario.programs, key=lambda program: program.arrives_at)
        self.gang: dict[str, int] = {}
        self.made: dict[str, int] = {}
        self.landed: dict[str, int] = {}
        self.ends_at: dict[str, float] = {}

    def play(self) -> None:
        while self.to_come or self.engine.is_busy:
            while self.to_come and self.to_come[0].arrives_at <= self.engine.clock.steps:
                program = self.to_come.pop(0)
                self.made[program.id] = self.landed[program.id] = self.gang[program.id] = 0
                self.submit(program)
            for id in self.engine.step():
                self.land(next(program for program in self.scenario.programs if id.startswith(program.id)))

    def submit(self, program: ScriptedProgram) -> None:
        landed = self.landed[program.id]
        told = Tags(program=program.id, remaining_knob=program.cap - landed, knob=landed)
        for _ in range(program.gangs[self.gang[program.id]]):
            self.engine.submit(f"{program.id} {self.made[program.id]}", [1] * 8, program.tokens, tags=told)
            self.made[program.id] += 1

    def land(self, program: ScriptedProgram) -> None:
        self.landed[program.id] += 1
        if self.landed[program.id] == program.cap:
            self.ends_at[program.id] = self.engine.clock.now()
        elif self.landed[program.id] == self.made[program.id]:
            self.gang[program.id] += 1
            self.submit(program)


@pytest.mark.parametrize("scenario", [FIG_7, GANG_SJF])
def test_the_scenario_of_all_hosts(engine: Made, scenario: Scenario) -> None:
    player = Player(scenario, engine(slots=scenario.slots, branch_tokens=DEFAULT_TOKENS))
    player.play()
    assert [tuple(id.split()) for id in player.engine.order] == [(id, str(index)) for id, index in scenario.order]
    assert player.ends_at == scenario.ends_at


@pytest.mark.parametrize("in_flight", [1, 2])
def test_requests_without_a_program_are_each_their_own(engine: Made, in_flight: int) -> None:
    made = engine("gang", slots=1, in_flight=in_flight)
    for id in ("x", "0_n", "y", "1_n"):
        made.submit(id, prompt(0, 0), 3)
    made.run()
    assert made.order == ["x", "0_n", "1_n", "y"], "the two completions of n are one program"
    made.scheduler.schedule()
    assert made.scheduler.ranking.counters.programs == 0


def test_a_pooling_request_has_no_sampling_and_no_tags(engine: Made) -> None:
    made = engine()
    request = made.submit("x", prompt(0, 0), 1)
    made.abort("x")
    request.status, request.sampling_params = RequestStatus.WAITING, None
    made.scheduler.add_request(request)
    made.abort("x")
    assert not made.scheduler.waiting


@pytest.mark.parametrize("in_flight", [1, 2])
def test_aborts_leave_nothing_behind(engine: Made, in_flight: int) -> None:
    made = engine(slots=2, in_flight=in_flight)
    for index in range(6):
        made.submit(f"a{index}", prompt(0, index), 50, tags=tags("a", is_last=True))
    for _ in range(5):
        made.step()
    made.abort("a0", "a4", "a5", "never known")
    made.step()
    made.abort("a1", "a2", "a3")
    made.run()
    free = made.scheduler.kv_cache_manager.block_pool.get_num_free_blocks()
    assert free == 4095, "all but the one that is never given out"
    made.scheduler.schedule()
    counters = made.scheduler.ranking.counters
    assert (counters.programs, counters.programs_running, counters.requests_running) == (0, 0, 0)


def test_a_stop_string_looks_like_an_abort_and_teaches_lengths_all_the_same(engine: Made) -> None:
    made = engine(slots=1)
    for id in ("long", "short"):
        made.submit(id, prompt(0, 0), 100, tags=tags(id, data_set=id, is_last=True))
    for steps, id in ((60, "long"), (6, "short")):
        for _ in range(steps):
            made.step()
        made.abort(id)
    made.submit("blocker", prompt(0, 0), 5, tags=tags("blocker", 1.0))
    made.step()
    for id in ("long", "short"):
        made.submit(f"{id} again", prompt(0, 0), 5, tags=tags(f"{id} again", data_set=id))
    made.run()
    assert made.order[-2:] == ["short again", "long again"]


def test_malformed_tags_do_not_stop_anybody(engine: Made) -> None:
    made = engine()
    request = made.submit("x", prompt(0, 0), 1)
    made.abort("x")
    request.status = RequestStatus.WAITING
    request.session_id, request.sampling_params.extra_args = "s" * 999, {"dynasor_remaining_tokens": "many"}
    made.scheduler.add_request(request)
    made.run()
    assert made.scheduler.ranking.counters.bad_tags == 2


@pytest.mark.parametrize("in_flight", [1, 2])
def test_chunked_prompts_take_their_turn(engine: Made, in_flight: int) -> None:
    made = engine(slots=4, step_tokens=64, in_flight=in_flight)
    for id, tokens in {"a": 300.0, "b": 100.0, "c": 200.0}.items():
        made.submit(id, [ord(id)] * 150, 4, tags=tags(id, tokens))
    made.run()
    assert made.order == ["b", "c", "a"]
    assert sorted(made.finished_at, key=lambda id: made.finished_at[id]) == ["b", "c", "a"]


def test_the_prompt_of_a_program_is_computed_once(engine: Made) -> None:
    made = engine(slots=8, step_tokens=4096)
    for branch in range(8):
        made.submit(f"a{branch}", prompt(0, branch, 320, own=1), 1, tags=tags("a"))
    made.step()
    assert made.computed_tokens == 320 + 8, "of each branch, only its own token"


def test_another_policy_is_refused(model: Path) -> None:
    with pytest.raises(UsageError, match="leave out --scheduling-policy priority"):
        make_engine(EngineOptions(settings=Settings(), policy="priority"), model)


@pytest.mark.parametrize("in_flight", [1, 2])
def test_clearing_the_cache_preempts_all_and_loses_none(engine: Made, in_flight: int) -> None:
    made = engine(slots=2, in_flight=in_flight)
    for id in ("a", "b", "c"):
        made.submit(id, prompt(0, 0), 20, tags=tags(id))
    for _ in range(5):
        made.step()
    assert made.scheduler.reset_prefix_cache(reset_running_requests=True)
    assert made.scheduler.ranking.counters.victims == 2
    made.run()
    assert set(made.finished_at) == {"a", "b", "c"}
