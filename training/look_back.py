"""A layer that begins by looking at the token before: its first head copies what the policy expected there.

Where the policy was wrong is seen by comparing what it expected with what came, and the two are a token apart. Training
finds a head that looks back one token only after millions of tokens; it can as well be written down. It does not know
what the layer is for.
"""

import torch
from torch import Tensor

from training.policy import Block, Shape

_PAIRS = 4  # of the fastest rotations, which tell one token from the next, against as many of the slowest, which do not
_SHARPNESS = 16.0
_ROUNDS, _LEAST = 10, 0.5


@torch.no_grad()
def look_back(block: Block, shape: Shape, states: Tensor) -> None:
    """Writes the first query head, and the key head that it reads, for states of [any, width] as they come in."""
    constant = _constant(block.input_layernorm(states))
    width = shape.head_width
    rotation = shape.rope_base ** (-torch.arange(0, width, 2, dtype=torch.float32) / width)
    query, key = torch.zeros(width), torch.zeros(width)
    amplitude = (_SHARPNESS * width**0.5) ** 0.5
    half = width // 2
    for pair in range(_PAIRS):
        query[pair], query[half + pair] = amplitude * rotation[pair].cos(), -amplitude * rotation[pair].sin()
        query[half - 1 - pair] = -amplitude  # so that the token before scores 0 and the others less, whatever the scale
        key[pair] = key[half - 1 - pair] = amplitude
    block.self_attn.q_proj.weight[:width] = torch.outer(query, constant)
    block.self_attn.k_proj.weight[:width] = torch.outer(key, constant)


def _constant(states: Tensor) -> Tensor:
    """The direction along which all states are about 1, and none near 0: a key of the wrong sign draws all eyes."""
    weights = torch.ones(len(states), 1)
    for _ in range(_ROUNDS):
        found: Tensor = torch.linalg.lstsq(states * weights, weights).solution
        weights += (_LEAST - states @ found).clamp(min=0.0) * 10
    return found[:, 0]
