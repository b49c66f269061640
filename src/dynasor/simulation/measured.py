"""Step times that were measured, of Llama-3.1-8B in bfloat16.

Source: the silicon tables of AIConfigurator 0.12, asked for vLLM 0.14 on an A100-SXM-80GB and an H100. They are
times of kernels: add two to four milliseconds a step for a server around them. A line in the tokens of the cache over
the table of batches meets 36 points of the A100 with a mean error of 0.8 %, the line of the H100 with 2.2 %.
"""

from bisect import bisect_right
from collections.abc import Mapping

from dynasor.errors import UsageError
from dynasor.simulation.cost import Hardware, Linear, Roofline, Transformer
from dynasor.simulation.kernel import picoseconds

LLAMA_8B = Transformer(
    parameters=8.03e9, weight_bytes=14.96 * 2**30, kv_token_bytes=131_072, layers=32, attention_width=4096
)
A100_KV_TOKENS = 438_000
"""Tokens that fit beside the weights at 0.9 of 80 GB, with 3.5 GiB kept for the rest."""


class Table:
    """Times by the tokens that a step computes, joined by straight lines, and a line in the tokens of the cache.

    Args:
        times_ms: milliseconds by tokens; beyond the last the last slope goes on, below the first its time holds.
        kv_token_s: seconds for each token that a decoding sequence attends to.
        pair_s: seconds for each pair of a prompt token and a token before its chunk.
    """

    def __init__(self, times_ms: Mapping[int, float], *, kv_token_s: float, pair_s: float = 0.0) -> None:
        if len(times_ms) < 2:
            raise UsageError(f"a table of {len(times_ms)} step times; give at least 2")
        self.kv_token_ps = picoseconds(kv_token_s)
        self._pair_ps = picoseconds(pair_s)
        self._tokens = sorted(times_ms)
        self._times = [picoseconds(times_ms[tokens] / 1000) for tokens in self._tokens]
        self._found: dict[int, int] = {}

    def step_ps(self, decoding: int, prompt_tokens: int, pairs: int) -> int:
        """Read from the table: a token of a prompt takes what a sequence's next one does."""
        tokens = decoding + prompt_tokens
        found = self._found.get(tokens)
        if found is None:
            found = self._found[tokens] = self._between(tokens)
        return found + self._pair_ps * pairs

    def _between(self, tokens: int) -> int:
        if tokens <= self._tokens[0]:
            return self._times[0]
        place = min(bisect_right(self._tokens, tokens), len(self._tokens) - 1)
        low, high = self._tokens[place - 1], self._tokens[place]
        rise = self._times[place] - self._times[place - 1]
        return self._times[place - 1] + rise * (tokens - low) // (high - low)


def a100() -> Table:
    """Llama-3.1-8B on an A100: batches up to 512, single prompts from 1,024 to 8,192 tokens.

    The time of a pair is what bends the measured prompts upwards: 64.7 ms at 1,024 tokens, but 557 ms at 8,192.
    """
    return Table(
        {
            1: 11.8, 8: 11.9, 32: 12.3, 64: 12.6, 128: 14.5, 192: 22.5, 256: 23.1, 384: 27.4, 512: 37.3,
            1024: 64.7, 2048: 125.0, 4096: 259.0, 8192: 557.0,
        },
        kv_token_s=79.6e-9,
        pair_s=1.34e-9,
    )  # fmt: skip


def a100_roofline() -> Roofline:
    """The same from its sheet: 2.039 TB/s, of which weights reach 0.82 and the cache 0.76; 312 TFLOP/s, 0.74; 3 ms."""
    return Roofline(Hardware(0.82 * 2.039e12, 0.76 * 2.039e12, 0.74 * 312e12, 3e-3), LLAMA_8B)


def h100() -> Linear:
    """Llama-3.1-8B on an H100. Prompts were not measured: theirs is the time of the products at 0.74 of 989 TFLOP/s."""
    return Linear(
        step_s=6.35e-3, sequence_s=12.3e-6, prompt_token_s=2 * LLAMA_8B.parameters / (0.74 * 989e12), kv_token_s=41.0e-9
    )
