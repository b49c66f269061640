"""What a vLLM server on the CPU is started with: its command line and environment variables. Nothing starts here.

vLLM itself lives in an environment apart from the project's, made by `scripts/vllm-environment`; nobody imports it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ENVIRONMENT = Path(__file__).parents[3] / ".venv-vllm"
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """What a server is started with.

    Attributes:
        model: a folder in the layout of Hugging Face.
        log: the file for whatever the server writes; it is written anew.
        runner: "generate" serves a policy, "pooling" a reward model.
        name: what requests call the model.
        core: the CPU core that computes. Two servers on one core take turns.
        port: 0: any that is free.
        context_tokens: prompt and answer together; a model makes no sense beyond those it was trained for.
        arguments: further ones, of vLLM's own, such as `("--max-num-seqs", "8")`.
        environment: the virtual environment that holds vLLM.
    """

    model: Path
    log: Path
    runner: Literal["generate", "pooling"] = "generate"
    name: str = "model"
    core: int = 0
    port: int = 0
    context_tokens: int = 1024
    arguments: tuple[str, ...] = ()
    environment: Path = ENVIRONMENT

    @property
    def python(self) -> Path:
        """The interpreter that can import vLLM."""
        return self.environment / "bin" / "python"

    def command(self, port: int) -> list[str]:
        """The command line: eager, for compiling takes longer than a tiny model ever earns back."""
        served = ("--model", str(self.model), "--served-model-name", self.name, "--runner", self.runner)
        where = ("--host", HOST, "--port", str(port), "--disable-uvicorn-access-log")
        # 32 is the smallest block on a CPU; with the usual 128, no short prompt is ever found in the prefix cache.
        how = ("--enforce-eager", "--block-size", "32", "--enable-prefix-caching")
        # The model's own figure too: vLLM reads past the end of its table of positions otherwise, and what other
        # requests are given afterwards is then garbage.
        positions = json.dumps({"max_position_embeddings": self.context_tokens})
        length = ("--max-model-len", str(self.context_tokens), "--hf-overrides", positions)
        exact = ("--dtype", "float32")  # with bf16, one text in twenty takes another turn than at other engines
        entry = (str(self.python), "-m", "vllm.entrypoints.openai.api_server")
        return [*entry, *served, *where, *how, *length, *exact, *self.arguments]

    def environ(self, outer: Mapping[str, str]) -> dict[str, str]:
        """The server's environment variables: the outer ones, without those that would change what it does."""
        kept = {name: value for name, value in outer.items() if not name.startswith(("VLLM_", "PYTHON", "OMP_"))}
        return kept | {
            "HF_HUB_OFFLINE": "1",
            "VLLM_NO_USAGE_STATS": "1",
            "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
            "VLLM_CPU_OMP_THREADS_BIND": str(self.core),
        }
