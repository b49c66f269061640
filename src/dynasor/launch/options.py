"""What a run can be asked for."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from dynasor.allocation.progress import Policy
from dynasor.datasets.columns import Columns
from dynasor.engines.embedded_model import EmbeddedModel
from dynasor.engines.endpoint import Endpoint
from dynasor.engines.reward_options import RewardOptions, parse_reward
from dynasor.errors import UsageError
from dynasor.launch import ranges
from dynasor.launch.replicas import several
from dynasor.programs.program import Program
from dynasor.programs.prompt import STEP_BY_STEP
from dynasor.request import Sampling

AUTO: Final = "auto"
DEFAULT_ORDERING = "gang+sjf"
GROUPINGS = ("auto", "normal-form", "text", "symbolic", "semantic", "value", "behaviour")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What to run. Either `trace`, or `problems` with one of `endpoint` and `model`.

    Attributes:
        trace: a recording: a file of samples, the directory of an earlier run, or `svamp`, which is shipped.
        problems: a file of problems, or `hf:OWNER/NAME:SPLIT`.
        endpoint: an OpenAI-compatible server; its address will do. Several servers of one model are given as a list, or
            as addresses joined by commas; this is then the first of them.
        replicas: the others; what one of them loses, another one is asked for.
        model: a GGUF file, which is run in this process; its path will do. `builtin` is the model that is shipped: it
            was trained on bare questions, and gets those where no other prompt is asked for.
        algorithm: `sc`, `rebase` and so on (`wiring.ALGORITHMS`), with settings as in `rebase:temperature=0.5`; a
            plug-in's name, or `FILE.py:CLASS`; or a subclass of `Program`.
        policy: how much each program gets: a specification such as `static:threshold=0.7,detect_at=5`, two or more
            joined by `+`, or a policy itself. None: `decided+static:threshold=0.7,detect_at=5` where the algorithm
            answers by majority, else `static:threshold=0.7,detect_at=5`.
        in_flight: start everything up to the cap at once and cut what the policy would not have granted.
        cap: the resource cap.
        shadow: the share of problems that run to the cap, to measure what the policy saves and loses against its
            promise; when it is seen to be broken, programs that have not started get even allocation.
        token_budget: generated tokens for all problems together, in place of a policy.
        grouping: which answers are the same: `auto` is `text` for a file of samples, else `normal-form`.
        reward: a reward model beside the engine: `builtin`, a GGUF file, or a server (`engines.reward_options`).
        embedding: what embeds answers for the semantic grouping: `builtin`, or a server with /v1/embeddings.
        similarity: the cosine from which on two answers are of one semantic group.
        thinking: ask the chat template for thinking (`enable_thinking`).
        judge_code: run the tests of code problems on the answers, in a sandbox.
        concurrency: requests at the server, or at the model's engine, at a time; "auto": as many as keep it just full.
        ordering: which of the waiting requests is next: a specification such as `gang+sjf` (`docs/scheduling.md`).
        deadline_s: seconds from a program's start to its answer; what would be late is granted less.
        outage_s: seconds for which requests of a server that is gone are kept and asked again; then their problems are
            left for a resume.
        out: the directory of the run; where it holds one under the same settings, that run goes on.
        limit, offset: take only so many problems, after passing over so many.

    Paths may be text, and text that names a path may be a `Path`.

    Raises:
        UsageError: for a number that cannot be.
    """

    trace: str | None = None
    problems: str | None = None
    format: str = "auto"
    columns: Columns = Columns()  # noqa: RUF009  (frozen)
    limit: int | None = None
    offset: int = 0
    endpoint: Endpoint | None = None
    replicas: tuple[Endpoint, ...] = ()
    model: EmbeddedModel | None = None
    algorithm: str | type[Program] = "sc"
    policy: str | Policy | None = None
    in_flight: bool = False
    cap: int = 20
    shadow: float | None = None
    token_budget: int | None = None
    signal: str = "entropy"
    extract: str = "auto"
    grouping: str = "auto"
    scorer: str = "reward"
    sampling: Sampling = Sampling()  # noqa: RUF009  (frozen)
    prompt: str = STEP_BY_STEP
    system: str = ""
    seed: int = 0
    seeded_requests: bool = False
    reward: RewardOptions | None = None
    embedding: str = "builtin"
    similarity: float = 0.85
    thinking: bool = False
    judge_code: bool = False
    concurrency: int | Literal["auto"] = 64
    ordering: str = DEFAULT_ORDERING
    deadline_s: float | None = None
    outage_s: float = 0.0
    out: Path | None = None

    def __post_init__(self) -> None:
        """Bring what Python callers give into its form, and refuse what cannot be."""
        for name, kind in (("trace", str), ("problems", str), ("out", Path)):
            self._become(name, _path(name, getattr(self, name), kind))
        first, *others = (*several(self.endpoint), *several(self.replicas)) or (None,)
        self._become("endpoint", first)
        self._become("replicas", tuple(others))
        self._take_model(self.model)
        reward: object = self.reward
        if isinstance(reward, str | Path):
            self._become("reward", parse_reward(str(reward)))
        ranges.share("similarity", self.similarity)
        if self.thinking:
            self._think()
        if self.limit is not None:
            ranges.whole("limit", self.limit, 1)
        ranges.whole("offset", self.offset, 0)
        ranges.whole("cap", self.cap, 1)
        if self.shadow is not None:
            ranges.share("shadow", self.shadow)
        if self.token_budget is not None:
            ranges.whole("token budget", self.token_budget, 1)
        ranges.whole("seed", self.seed)
        ranges.serving(self.concurrency, self.deadline_s, self.outage_s, AUTO)
        ranges.sampling(self.sampling)

    def _take_model(self, model: object) -> None:
        if isinstance(model, str | Path):
            model = EmbeddedModel(Path(model))
        if model is not None and not isinstance(model, EmbeddedModel):
            raise UsageError(f"the model is {model!r}; it must be the path of a GGUF file, or an EmbeddedModel")
        if model is not None and self.endpoint is not None:
            raise UsageError("both an endpoint and a model are to answer; give one of them")
        if model is not None and model.is_builtin and self.prompt == STEP_BY_STEP:
            self._become("prompt", "{question}")
        self._become("model", model)

    def _think(self) -> None:
        """Both kinds of servers take it in the request's body."""
        asked = {"chat_template_kwargs": {"enable_thinking": True}}
        for name in ("endpoint", "model"):
            if (answers := getattr(self, name)) is not None:
                self._become(name, replace(answers, extra_body={**asked, **answers.extra_body}))
        others = (replace(other, extra_body={**asked, **other.extra_body}) for other in self.replicas)
        self._become("replicas", tuple(others))

    def _become(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)


def _path(name: str, value: Any, kind: type[str] | type[Path]) -> str | Path | None:
    if value is not None and not isinstance(value, str | Path):
        raise UsageError(f"{name} is {value!r}; it must be text or a Path")
    return None if value is None else kind(value)
