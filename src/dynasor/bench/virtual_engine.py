"""vLLM's own scheduler as the engine of a simulated replica: it decides every step, and a cost model how long it takes.

It runs in the interpreter of vLLM. The scheduler, the allocation of blocks, the prefix cache and preemption are vLLM's;
only a model there is none.
"""

from dataclasses import dataclass
from pathlib import Path

from vllm.v1.core.sched.output import SchedulerOutput
from vllm.v1.outputs import ModelRunnerOutput
from vllm.v1.request import RequestStatus

from dynasor.bench.plugin_engine import EngineOptions, make_engine
from dynasor.inside.tags import Tags
from dynasor.request import Finish, RequestId
from dynasor.simulation.cost import CostModel
from dynasor.simulation.kernel import SECOND
from dynasor.simulation.kv_cache import KvCache
from dynasor.simulation.limits import Limits
from dynasor.simulation.requests import Served, SimulatedRequest
from dynasor.vllm_plugin.settings import Settings

_NULL_BLOCKS = 1  # vLLM keeps one that nobody is given
_CONTEXT_TOKENS = 1 << 17  # longer than any recorded answer


@dataclass(slots=True)
class _Instant:
    """The clock of the scheduler inside."""

    at: int = 0

    def now(self) -> float:
        return self.at / SECOND


@dataclass(slots=True)
class _Here:
    """A request that vLLM holds. Instants are in picoseconds; -1 where there is none yet."""

    request: SimulatedRequest
    name: str
    submitted: int
    admitted: int = -1
    first_token: int = -1
    cached: int = 0
    preemptions: int = 0


class VirtualEngine:
    """Implements `simulation.stepping.Stepping`; its attributes are those of `Accelerator`.

    Attributes:
        cache: how large the memory is, and what was found in it; vLLM keeps its own account of blocks.
    """

    def __init__(
        self, cost: CostModel, cache: KvCache, limits: Limits, model: Path, settings: Settings | None = None
    ) -> None:
        """No requests.

        Args:
            cost: of a step.
            cache: how large the memory is.
            limits: of the engine.
            model: a folder of one, whose sizes vLLM reads.
            settings: of the plug-in; None for vLLM's own scheduler.
        """
        self.cache = cache
        self.end: int | None = None
        self.reached: list[tuple[RequestId, int]] = []
        self.prompt_tokens = self.output_tokens = self.preemptions = self.busy = 0
        self._cost = cost
        options = EngineOptions(
            settings=settings,
            slots=limits.sequences,
            blocks=cache.capacity + _NULL_BLOCKS,
            block_size=cache.block_tokens,
            step_tokens=limits.step_tokens,
            context_tokens=_CONTEXT_TOKENS,
        )
        engine = make_engine(options, model)
        self._scheduler, self._enter = engine.scheduler, engine.submit
        self._tags, self._clock = settings is not None, _Instant()
        if settings is not None:
            self._scheduler.clock = self._clock
        self._here: dict[RequestId, _Here] = {}
        self._ids: dict[str, RequestId] = {}
        self._prefixes: dict[str, int] = {}
        self._cut: list[RequestId] = []
        self._output: SchedulerOutput | None = None  # of the step that runs
        self._sampled: list[str] = []  # those that have a token more at its end
        self._at = self._count = self._steps = 0

    @property
    def steps(self) -> int:
        """Steps done."""
        return self._steps

    def has(self, id: RequestId) -> bool:
        """Whether a request is here, waiting or running."""
        return id in self._here

    def submit(self, request: SimulatedRequest, now: int) -> None:
        """A request comes; its tokens are no other's, but for those that its program shares."""
        self._clock.at = now
        self._count += 1
        name, shared = str(self._count), 0
        if request.prefix is not None:
            shared = self._prefixes.setdefault(request.prefix, -1 - len(self._prefixes))
        own = request.prompt_tokens - request.prefix_tokens
        self._here[request.id] = _Here(request, name, now)
        self._ids[name] = request.id
        tags = Tags(program=request.id.program, remaining_tokens=request.remaining_tokens) if self._tags else None
        prompt = [shared] * request.prefix_tokens + [self._count] * own
        self._enter(name, prompt, request.output_tokens, tags=tags)

    def cancel(self, id: RequestId, now: int) -> Served | None:
        """Cut a request; one that the present step computes ends with that."""
        here = self._here.get(id)
        if here is None:
            return None
        if self._output is not None and here.name in self._output.num_scheduled_tokens:
            self._cut.append(id)
            return None
        return self._aborted(here, now)

    def start(self, now: int) -> int | None:
        """Let vLLM decide what the next step computes."""
        if not self._scheduler.has_unfinished_requests():
            return None
        self._clock.at = now
        output: SchedulerOutput = self._scheduler.schedule()
        self._note(output, now)
        if not output.total_num_scheduled_tokens:
            self._take(output)
            return None
        self._output, self._at, self.end = output, now, now + self._duration(output)
        return self.end

    def finish(self) -> list[Served]:
        """The step has ended: what ended with it."""
        if self.end is None or self._output is None:
            raise AssertionError("there is no step to finish")
        now, output = self.end, self._output
        self._clock.at = now
        self.end = self._output = None
        self.busy += now - self._at
        self._steps += 1
        for name in self._sampled:
            here = self._here[self._ids[name]]
            here.first_token = now if here.first_token < 0 else here.first_token
        self.output_tokens += len(self._sampled)
        ended = [self._served(self._here[self._ids[name]], Finish.STOP, now) for name in self._take(output)]
        cut, self._cut = [self._here[id] for id in self._cut if id in self._here], []
        return ended + [self._aborted(here, now) for here in cut]

    def _note(self, output: SchedulerOutput, now: int) -> None:
        for new in output.scheduled_new_reqs:
            here = self._here[self._ids[new.req_id]]
            if here.admitted < 0:
                here.admitted, here.cached = now, new.num_computed_tokens
                self.cache.asked_tokens += here.request.prompt_tokens
                self.cache.hit_tokens += here.cached
        for name in output.preempted_req_ids or ():
            self.preemptions += 1
            self._here[self._ids[name]].preemptions += 1

    def _duration(self, output: SchedulerOutput) -> int:
        """Of a step, by the cost model: what decodes, what is computed of prompts, and what is attended to."""
        decoding = prompt_tokens = pairs = reads = 0
        self._sampled = []
        for name, tokens in output.num_scheduled_tokens.items():
            request = self._scheduler.requests[name]
            before = request.num_computed_tokens - tokens  # vLLM counts what it has scheduled as computed
            if request.num_computed_tokens >= request.num_tokens:
                self._sampled.append(name)
            if before >= request.num_prompt_tokens and before + 1 == request.num_tokens:
                decoding += 1
                reads += before + 1
            else:
                prompt_tokens += tokens
                pairs += tokens * before
        self.prompt_tokens += prompt_tokens
        return self._cost.step_ps(decoding, prompt_tokens, pairs) + self._cost.kv_token_ps * reads

    def _take(self, output: SchedulerOutput) -> list[str]:
        """Tell vLLM what the model has said; returns the requests that have ended with it."""
        names = list(output.num_scheduled_tokens)
        sampled = set(self._sampled) if names else set()
        said = ModelRunnerOutput(
            req_ids=names,
            req_id_to_index={name: place for place, name in enumerate(names)},
            sampled_token_ids=[[int(name)] if name in sampled else [] for name in names],
        )
        results = self._scheduler.update_from_output(output, said)
        return [one.request_id for group in results.values() for one in group.outputs if one.finish_reason]

    def _aborted(self, here: _Here, now: int) -> Served:
        self._clock.at = now
        generated = self._scheduler.requests[here.name].num_output_tokens
        self._scheduler.finish_requests([here.name], RequestStatus.FINISHED_ABORTED)
        return self._served(here, Finish.CANCELLED, now, generated)

    def _served(self, here: _Here, finish: Finish, now: int, tokens: int | None = None) -> Served:
        del self._here[here.request.id], self._ids[here.name]
        return Served(
            id=here.request.id,
            finish=finish,
            tokens=here.request.output_tokens if tokens is None else tokens,
            prompt_tokens=here.request.prompt_tokens,
            cached_tokens=here.cached,
            submitted_at=here.submitted / SECOND,
            admitted_at=None if here.admitted < 0 else here.admitted / SECOND,
            first_token_at=None if here.first_token < 0 else here.first_token / SECOND,
            ended_at=now / SECOND,
            preemptions=here.preemptions,
        )
