"""What the scheduler costs a whole engine: a model and its loop in one process, under both schedulers by turns.

It runs in the interpreter of vLLM. Both schedulers drive the same model in the same memory, in windows of the same work
that follow one another as ABBA: so what differs is the scheduler alone, and the processor's time for a window hardly
depends on whatever else the machine does.
"""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from vllm.entrypoints.llm import LLM
from vllm.sampling_params import SamplingParams
from vllm.v1.core.kv_cache_utils import resolve_kv_cache_block_sizes

from dynasor.bench.plugin_rows import Window
from dynasor.bench.process_time import process_cpu_s
from dynasor.clock import WallClock
from dynasor.vllm_plugin.scheduler import ProgramScheduler

SLOTS, REQUESTS, _BRANCHES = 64, 128, 8
_CONTEXT_TOKENS, _PROMPT_TOKENS = 1024, 48
_LEAST, _MOST = 16, 48  # tokens of an answer
_WARM_UP = 2  # rounds
_TURNS = (("fcfs", "dynasor", "dynasor", "fcfs"), ("dynasor", "fcfs", "fcfs", "dynasor"))


class _Steps:
    """Counts the steps of a scheduler."""

    def __init__(self, scheduler: Any) -> None:
        self.taken = 0
        self._schedule, scheduler.schedule = scheduler.schedule, self._step

    def _step(self, *args: Any, **kwargs: Any) -> Any:
        self.taken += 1
        return self._schedule(*args, **kwargs)


def windows(model: Path, rounds: int) -> Iterator[Window]:
    """So many rounds of four windows; every other one begins with the other scheduler."""
    engine = LLM(
        model=str(model),
        dtype="float32",
        enforce_eager=True,
        block_size=32,
        max_model_len=_CONTEXT_TOKENS,
        hf_overrides={"max_position_embeddings": _CONTEXT_TOKENS},
        max_num_seqs=SLOTS,
    )
    core: Any = engine.llm_engine.engine_core.engine_core
    schedulers = {"fcfs": core.scheduler, "dynasor": _ours(core)}
    steps = {arm: _Steps(scheduler) for arm, scheduler in schedulers.items()}
    for turn in range(_WARM_UP + rounds):
        for place, arm in enumerate(_TURNS[turn % 2]):
            core.scheduler = schedulers[arm]
            found = _window(engine, arm, turn - _WARM_UP, place, steps[arm])
            if turn >= _WARM_UP:
                yield found


def _ours(core: Any) -> ProgramScheduler:
    config, cache = core.vllm_config, core.scheduler.kv_cache_config
    block_size, hash_block_size = resolve_kv_cache_block_sizes(cache, config)
    return ProgramScheduler(
        vllm_config=config,
        kv_cache_config=cache,
        structured_output_manager=core.structured_output_manager,
        include_finished_set=False,
        log_stats=core.log_stats,
        block_size=block_size,
        hash_block_size=hash_block_size,
    )


def _window(engine: LLM, arm: str, turn: int, place: int, steps: _Steps) -> Window:
    """Answer requests that take all places and as many again, which wait: the same in every window of a round.

    No program comes again: a window finds nothing of the one before, be it in the cache or in the scheduler.
    """
    random, clock = Random(turn), WallClock()
    lengths = [random.randint(_LEAST, _MOST) for _ in range(REQUESTS)]
    prompts = [{"prompt_token_ids": _prompt(turn, place, index)} for index in range(REQUESTS)]
    sampling = [
        SamplingParams(max_tokens=tokens, ignore_eos=True, extra_args={"dynasor_program": _program(turn, place, index)})
        for index, tokens in enumerate(lengths)
    ]
    before, began, before_s = steps.taken, clock.now(), process_cpu_s()
    answers = engine.generate(prompts, sampling, use_tqdm=False)
    cpu_s, wall_s = process_cpu_s() - before_s, clock.now() - began
    tokens = sum(len(answer.outputs[0].token_ids) for answer in answers)
    return Window(arm, turn, tokens, steps.taken - before, cpu_s, wall_s)


def _program(turn: int, place: int, index: int) -> str:
    return f"{turn}/{place}/{index // _BRANCHES}"


def _prompt(turn: int, place: int, index: int) -> list[int]:
    """Tokens that no other program's prompt begins with, so that each is computed; those of one program share it."""
    own = Random(_program(turn, place, index))
    return [own.randint(10, 200) for _ in range(_PROMPT_TOKENS)]
