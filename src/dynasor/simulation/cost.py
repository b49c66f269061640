"""How long does a step take? The seam to the models of an accelerator, and the two that are formulas.

A step computes one token for each sequence that decodes, and some prompt tokens. Every model's time is a line in the
tokens whose keys and values are read, once the rest of the step is given: so the time of many steps alike has a closed
form, and whole picoseconds keep it exact.
"""

from dataclasses import dataclass
from typing import Protocol

from dynasor.errors import UsageError
from dynasor.simulation.kernel import picoseconds


class CostModel(Protocol):
    """The time of a step is `step_ps(...)` and `kv_token_ps` for each token of the sequences that decode."""

    @property
    def kv_token_ps(self) -> int:
        """Picoseconds for each token that a decoding sequence attends to."""
        ...

    def step_ps(self, decoding: int, prompt_tokens: int, pairs: int) -> int:
        """The rest of a step, in picoseconds.

        Args:
            decoding: sequences that decode.
            prompt_tokens: prompt tokens that are computed.
            pairs: for each piece of a prompt its tokens times the tokens before it.
        """
        ...


class Linear:
    """A line in sequences, prompt tokens and cached tokens, in seconds for each."""

    def __init__(self, *, step_s: float, sequence_s: float, prompt_token_s: float, kv_token_s: float) -> None:
        if min(step_s, sequence_s, prompt_token_s, kv_token_s) < 0 or not step_s + sequence_s > 0:
            raise UsageError(
                f"a line of {step_s}, {sequence_s}, {prompt_token_s} and {kv_token_s} s for step, sequence, prompt "
                "token and cached token; none may be negative, and a step must take time"
            )
        self.kv_token_ps = picoseconds(kv_token_s)
        self._step_ps = picoseconds(step_s)
        self._sequence_ps = picoseconds(sequence_s)
        self._prompt_token_ps = picoseconds(prompt_token_s)

    def step_ps(self, decoding: int, prompt_tokens: int, pairs: int) -> int:
        """The line; a chunk's look back at the tokens before it costs nothing more."""
        return self._step_ps + self._sequence_ps * decoding + self._prompt_token_ps * prompt_tokens


@dataclass(frozen=True, slots=True)
class Hardware:
    """What an accelerator reaches, not what its sheet says.

    Attributes:
        bytes_per_s: from its memory, for weights.
        kv_bytes_per_s: from its memory, for keys and values.
        flop_per_s: in matrix products.
        overhead_s: of a step, whatever is in it.
    """

    bytes_per_s: float
    kv_bytes_per_s: float
    flop_per_s: float
    overhead_s: float


@dataclass(frozen=True, slots=True)
class Transformer:
    """A model by its sizes; `attention_width` is heads times the width of a head."""

    parameters: float
    weight_bytes: float
    kv_token_bytes: float
    layers: int
    attention_width: int


class Roofline:
    """Reading the weights or computing with them, whichever takes longer; then reading keys and values."""

    def __init__(self, hardware: Hardware, model: Transformer) -> None:
        self.kv_token_ps = picoseconds(model.kv_token_bytes / hardware.kv_bytes_per_s)
        self._weights_ps = picoseconds(model.weight_bytes / hardware.bytes_per_s)
        self._token_ps = picoseconds(2 * model.parameters / hardware.flop_per_s)
        self._pair_ps = picoseconds(4 * model.layers * model.attention_width / hardware.flop_per_s)
        self._overhead_ps = picoseconds(hardware.overhead_s)

    def step_ps(self, decoding: int, prompt_tokens: int, pairs: int) -> int:
        """The roof; a prompt's attention to its own chunk is small beside its products with the weights."""
        products = self._token_ps * (decoding + prompt_tokens)
        return self._overhead_ps + max(self._weights_ps, products) + self._pair_ps * pairs
