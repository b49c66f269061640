"""What a run can be asked for."""

from dataclasses import dataclass
from pathlib import Path

from dynasor.allocation.progress import Policy
from dynasor.datasets.columns import Columns
from dynasor.engines.endpoint import Endpoint
from dynasor.programs.program import Program
from dynasor.programs.prompt import STEP_BY_STEP
from dynasor.request import Sampling

DEFAULT_POLICY = "decided+static:threshold=0.7,detect_at=5"
GROUPINGS = ("auto", "normal-form", "text", "symbolic")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What to run. Either `trace`, or `problems` with `endpoint`.

    Attributes:
        trace: a recording: a file of samples, the directory of an earlier run, or `svamp`, which is shipped.
        problems: a file of problems, or `hf:OWNER/NAME:SPLIT`.
        endpoint: an OpenAI-compatible server.
        algorithm: `sc`, `best-of-n`, a plug-in's name, or `FILE.py:CLASS`; or a subclass of `Program`.
        policy: how much each program gets: a specification such as `static:threshold=0.7,detect_at=5`, two or more
            joined by `+`, or a policy itself.
        in_flight: start everything up to the cap at once and cut what the policy would not have granted.
        cap: the resource cap.
        grouping: which answers are the same: `auto` is `text` for a file of samples, else `normal-form`.
        concurrency: requests at the server at a time.
        out: the directory of the run; where it holds one under the same settings, that run goes on.
        limit, offset: take only so many problems, after passing over so many.
    """

    trace: str | None = None
    problems: str | None = None
    format: str = "auto"
    columns: Columns = Columns()  # noqa: RUF009  (frozen)
    limit: int | None = None
    offset: int = 0
    endpoint: Endpoint | None = None
    algorithm: str | type[Program] = "sc"
    policy: str | Policy = DEFAULT_POLICY
    in_flight: bool = False
    cap: int = 20
    signal: str = "entropy"
    extract: str = "auto"
    grouping: str = "auto"
    scorer: str = "reward"
    sampling: Sampling = Sampling()  # noqa: RUF009  (frozen)
    prompt: str = STEP_BY_STEP
    system: str = ""
    seed: int = 0
    seeded_requests: bool = False
    concurrency: int = 64
    out: Path | None = None
