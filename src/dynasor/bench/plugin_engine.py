"""vLLM's own scheduler without a model: every step takes one step, and every request generates as long as it may.

It runs in the interpreter of vLLM (scripts/vllm-environment), and is deterministic: what it counts are engine steps.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vllm.config import CacheConfig, DeviceConfig, ModelConfig, SchedulerConfig, VllmConfig
from vllm.sampling_params import SamplingParams
from vllm.utils.hashing import sha256
from vllm.v1.core.kv_cache_utils import get_request_block_hasher, init_none_hash
from vllm.v1.core.sched.output import SchedulerOutput
from vllm.v1.kv_cache_interface import FullAttentionSpec, KVCacheConfig, KVCacheGroupSpec
from vllm.v1.outputs import ModelRunnerOutput
from vllm.v1.request import Request, RequestStatus
from vllm.v1.structured_output import StructuredOutputManager

from dynasor.errors import EngineError
from dynasor.inside.tags import Tags, encoded
from dynasor.vllm_plugin.settings import SECTION, Settings

_TOKEN = 7  # whatever the model would say


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """How the scheduler is set up.

    Attributes:
        settings: of the plug-in; None for vLLM's own scheduler.
        policy: vLLM's own.
        in_flight: batches that are scheduled ahead; 2 is what vLLM does where it schedules asynchronously.
    """

    settings: Settings | None = None
    policy: str = "fcfs"
    slots: int = 8
    blocks: int = 4096
    block_size: int = 16
    step_tokens: int = 2048
    context_tokens: int = 1024
    in_flight: int = 1
    caching: bool = True


@dataclass(slots=True)
class StepClock:
    """Time is the number of steps, a second each."""

    steps: int = 0

    def now(self) -> float:
        """Steps so far."""
        return float(self.steps)

    async def sleep(self, duration_s: float) -> None:
        """Nothing waits for it."""


@dataclass(slots=True)
class Engine:
    """A scheduler, and the loop of vLLM's engine around it.

    Attributes:
        finished_at: the step at which each request ended.
        computed_tokens: tokens that a model would have computed: prompts and what was generated.
        order: requests in the order in which they were first scheduled.
    """

    scheduler: Any
    in_flight: int
    block_size: int
    clock: StepClock = field(default_factory=StepClock)
    finished_at: dict[str, int] = field(default_factory=dict)
    cached_tokens: dict[str, int] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    computed_tokens: int = 0
    _ahead: deque[SchedulerOutput] = field(default_factory=deque)
    _hasher: Any = None

    def __post_init__(self) -> None:
        """Have the plug-in measure time in steps."""
        init_none_hash(sha256)
        self._hasher = get_request_block_hasher(self.block_size, sha256)
        if hasattr(self.scheduler, "clock"):
            self.scheduler.clock = self.clock

    def submit(
        self, id: str, prompt: list[int], tokens: int, *, tags: Tags | None = None, priority: int = 0, **sampling: Any
    ) -> Request:
        """A request arrives."""
        told = encoded(tags) if tags else None
        request = Request(
            request_id=id,
            prompt_token_ids=prompt,
            sampling_params=SamplingParams(max_tokens=tokens, ignore_eos=True, extra_args=told, **sampling),
            pooling_params=None,
            arrival_time=self.clock.now(),
            priority=priority,
            block_hasher=self._hasher,
        )
        self.scheduler.add_request(request)
        return request

    def abort(self, *ids: str) -> None:
        """The client is gone, or a stop string was found."""
        self.scheduler.finish_requests(ids, RequestStatus.FINISHED_ABORTED)

    @property
    def is_busy(self) -> bool:
        """Whether any request is left."""
        return self.scheduler.has_requests() or bool(self._ahead)

    def step(self) -> list[str]:
        """One step of the engine; returns the requests that ended in it."""
        if not self.is_busy:
            self.clock.steps += 1
        elif self.scheduler.has_requests():
            output = self._scheduled()
            if len(self._ahead) < self.in_flight and output.total_num_scheduled_tokens:
                return []
        return self._processed(self._ahead.popleft()) if self._ahead else []

    def run(self, limit: int = 100_000) -> None:
        """Step until nothing is left."""
        while self.is_busy:
            self.step()
            if self.clock.steps > limit:
                raise EngineError(f"requests are left after {limit} steps", retryable=False)

    def _scheduled(self) -> SchedulerOutput:
        output: SchedulerOutput = self.scheduler.schedule()
        self.clock.steps += 1
        self.order += [new.req_id for new in output.scheduled_new_reqs]
        self.cached_tokens |= {new.req_id: new.num_computed_tokens for new in output.scheduled_new_reqs}
        self.computed_tokens += output.total_num_scheduled_tokens
        self._ahead.append(output)
        return output

    def _processed(self, output: SchedulerOutput) -> list[str]:
        ids = list(output.num_scheduled_tokens)
        sampled = [[_TOKEN] if self._samples(id, output) else [] for id in ids]
        model = ModelRunnerOutput(
            req_ids=ids, req_id_to_index={id: at for at, id in enumerate(ids)}, sampled_token_ids=sampled
        )
        results = self.scheduler.update_from_output(output, model)
        ended = [result.request_id for group in results.values() for result in group.outputs if result.finish_reason]
        self.finished_at |= dict.fromkeys(ended, self.clock.steps)
        return ended

    def _samples(self, id: str, output: SchedulerOutput) -> bool:
        """Whether a request had all of its prompt computed with this step."""
        request = self.scheduler.requests.get(id)
        if request is None:
            return False
        computed = _computed_before(id, output) + output.num_scheduled_tokens[id]
        return bool(computed >= request.num_prompt_tokens)


def _computed_before(id: str, output: SchedulerOutput) -> int:
    for new in output.scheduled_new_reqs:
        if new.req_id == id:
            return int(new.num_computed_tokens)
    cached = output.scheduled_cached_reqs
    return int(cached.num_computed_tokens[cached.req_ids.index(id)])


def make_engine(options: EngineOptions, model: Path) -> Engine:
    """An engine with no model behind it; `model` is a folder of one all the same, whose sizes vLLM reads."""
    is_async = options.in_flight > 1
    config = VllmConfig(
        model_config=ModelConfig(
            model=str(model),
            dtype="float32",
            seed=0,
            max_model_len=options.context_tokens,
            hf_overrides={"max_position_embeddings": options.context_tokens},
        ),
        scheduler_config=_scheduler_config(options),
        cache_config=CacheConfig(block_size=options.block_size, enable_prefix_caching=options.caching),
        device_config=DeviceConfig("cpu"),
        additional_config={SECTION: _fields(options.settings)} if options.settings else {},
    )
    config.scheduler_config.async_scheduling = is_async  # which vLLM turns off where there is only a CPU
    config.cache_config.num_gpu_blocks = options.blocks
    spec = FullAttentionSpec(
        block_size=options.block_size, num_kv_heads=1, head_size=1, dtype=config.model_config.dtype
    )
    cache = KVCacheConfig(
        num_blocks=options.blocks, kv_cache_tensors=[], kv_cache_groups=[KVCacheGroupSpec(["layer"], spec)]
    )
    scheduler = config.scheduler_config.get_scheduler_cls()(
        vllm_config=config,
        kv_cache_config=cache,
        structured_output_manager=StructuredOutputManager(config),
        block_size=options.block_size,
        hash_block_size=options.block_size,
        log_stats=False,
    )
    return Engine(scheduler, options.in_flight, options.block_size)


def _scheduler_config(options: EngineOptions) -> SchedulerConfig:
    return SchedulerConfig(
        max_num_seqs=options.slots,
        max_num_batched_tokens=options.step_tokens,
        max_model_len=options.context_tokens,
        enable_chunked_prefill=True,
        is_encoder_decoder=False,
        policy=options.policy,
        scheduler_cls="dynasor.vllm_plugin.ProgramScheduler" if options.settings else None,
    )


def _fields(settings: Settings) -> dict[str, object]:
    return {name: getattr(settings, name) for name in settings.__struct_fields__}


def prompt(program: int, branch: int, shared: int = 32, own: int = 0) -> list[int]:
    """Tokens of a prompt, of which the first are those of its program."""
    return [1000 + program] * shared + [2000 + branch] * own


def total(engine: Engine, ids: Iterable[str]) -> int:
    """The step at which the last of some requests ended."""
    return max(engine.finished_at[id] for id in ids)
