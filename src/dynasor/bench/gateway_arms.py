"""The gateways that are measured side by side: how each is started, and what it is asked with.

Others than ours live in environments of their own, which scripts/gateway-rivals makes; what is not there is left out.
"""

import hashlib
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dynasor import __version__
from dynasor.bench.gateway_load import MODEL
from dynasor.bench.gateway_processes import HOST

RIVALS = Path(__file__).parents[3] / ".venv-rivals"
KEY = "sk-dynasor-for-measuring-only-0123456789"
PROGRAM = "agent"
RUNNING = "20000"  # requests at the backend at a time: more than any load here, so that none waits

_CONFIG = """running = {running}
connections = 20000

[[backends]]
url = "http://{host}:{backend}/v1"

[[tenants]]
name = "measured"
key_hashes = ["{digest}"]
requests_per_minute = 100000000
tokens_per_minute = 100000000000
"""
_LITELLM = """model_list:
  - model_name: {model}
    litellm_params:
      model: openai/{model}
      api_base: http://{host}:{backend}/v1
      api_key: none
general_settings:
  master_key: {key}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """A gateway.

    Attributes:
        told: what it is, in a few words.
        command: with `{port}`, `{backend}` (a port) and `{folder}`.
        files: written to that folder first, by name; with the same.
        ready: the path that answers 200 when it serves.
        key, program: of requests to it; empty where it asks for none.
        environ: beside this process's.
        most_held: streams that it can keep supplied with a token a second at one time.
    """

    name: str
    told: str
    command: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    ready: str = "/health"
    key: str = ""
    program: str = ""
    environ: Mapping[str, str] = field(default_factory=dict)
    most_held: int = 1_000_000

    @property
    def is_rival(self) -> bool:
        """Whether it is not of this package."""
        return bool(self.command) and RIVALS in Path(self.command[0]).parents

    def prepared(self, port: int, backend: int, folder: Path) -> list[str]:
        """The command line, once its files are written."""
        for name, text in self.files.items():
            filled = text.format(
                backend=backend,
                host=HOST,
                running=RUNNING,
                digest=hashlib.sha256(KEY.encode()).hexdigest(),
                model=MODEL,
                key=KEY,
            )
            (folder / name).write_text(filled)
        return [word.format(port=port, backend=backend, folder=folder) for word in self.command]


DIRECT = Arm(name="direct", told="no gateway: the generator's own limit")
_SERVE = (sys.executable, "-m", "dynasor", "serve", "--port", "{port}")


def own_arms() -> list[Arm]:
    """What needs nothing but this package."""
    backend = "http://127.0.0.1:{backend}"
    return [
        Arm(
            name="dynasor",
            told="keys, quotas, programs, metrics and a JSON log",
            command=(*_SERVE, "--config", "{folder}/gateway.toml", "--log-format", "json"),
            files={"gateway.toml": _CONFIG},
            ready="/ready",
            key=KEY,
            program=PROGRAM,
        ),
        Arm(
            name="dynasor-lean",
            told="no keys, no named programs, no log; metrics as always",
            command=(*_SERVE, "--backend", f"{backend}/v1", "--running", RUNNING, "--log-format", "none"),
            ready="/ready",
        ),
        Arm(
            name="bare",
            told="uvicorn and aiohttp, bytes in and out, nothing else",
            command=(sys.executable, "-m", "dynasor.bench.gateway_bare", "{port}", backend),
            ready="/v1/models",
        ),
    ]


def rival_arms() -> list[Arm]:
    """Gateways of others, wherever they are; `is_installed` tells which are here."""
    backend = "http://127.0.0.1:{backend}"
    router = str(RIVALS / "vllm-router" / "bin" / "vllm-router")
    litellm = str(RIVALS / "litellm" / "bin" / "litellm")
    return [
        Arm(
            name="vllm-router",
            told="Rust; round robin",
            command=(
                *(router, "--host", HOST, "--port", "{port}", "--worker-urls", backend, "--policy", "round_robin"),
                *("--prometheus-host", HOST, "--max-concurrent-requests", RUNNING, "--log-level", "error"),
            ),
            ready="/health",
        ),
        Arm(
            name="litellm",
            told="LiteLLM proxy, one worker, one key, no database",
            command=(
                *(litellm, "--config", "{folder}/litellm.yaml", "--host", HOST, "--port", "{port}"),
                *("--num_workers", "1", "--telemetry", "False"),
            ),
            files={"litellm.yaml": _LITELLM},
            ready="/health/liveliness",
            key=KEY,
            environ={"LITELLM_LOCAL_MODEL_COST_MAP": "True"},
            most_held=100,
        ),
    ]


def is_installed(arm: Arm) -> bool:
    """Whether its program is there."""
    return not arm.command or Path(arm.command[0]).exists()


def version(arm: Arm) -> str:
    """Of the package that it is."""
    if not arm.is_rival:
        return __version__
    program = Path(arm.command[0])
    asked = "import sys; from importlib.metadata import version; print(version(sys.argv[1]))"
    done = subprocess.run(  # noqa: S603 - the rival's own environment
        [str(program.parent / "python"), "-c", asked, arm.name], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"
