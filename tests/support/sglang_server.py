"""A real SGLang server on the CPU, with the built-in policy and the plug-in: watched as a vLLM server is."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dynasor.bench.vllm_options import HOST, ServerOptions

ENVIRONMENT = Path(__file__).parents[2] / ".venv-sglang"


@dataclass(frozen=True, slots=True, kw_only=True)
class SGLangOptions(ServerOptions):
    """What it is started with; `settings` are the plug-in's, as JSON."""

    environment: Path = ENVIRONMENT
    settings: str = "{}"

    def command(self, port: int) -> list[str]:
        """Attention and sampling by PyTorch: SGLang's own kernels for the CPU are not in its package."""
        served = ("--model-path", str(self.model), "--served-model-name", self.name, "--dtype", "float32")
        where = ("--host", HOST, "--port", str(port), "--device", "cpu")
        torch = ("--attention-backend", "torch_native", "--sampling-backend", "pytorch", "--grammar-backend", "none")
        sizes = ("--context-length", str(self.context_tokens), "--max-total-tokens", "20000")
        seen = ("--enable-metrics", "--decode-log-interval", "1")  # its gauges are brought up to date as it logs
        how = (*torch, "--disable-overlap-schedule", *sizes, *seen, *self.arguments)
        return [str(self.python), "-m", "sglang.launch_server", *served, *where, *how]

    def environ(self, outer: Mapping[str, str]) -> dict[str, str]:
        """The outer ones, without those that would change what it does."""
        others = ("SGLANG_", "DYNASOR_", "PYTHON", "COV_")
        return {name: value for name, value in outer.items() if not name.startswith(others)} | {
            "DYNASOR_SGLANG": self.settings,
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            "SGLANG_USE_CPU_ENGINE": "1",
        }
