"""Reading with a cache of keys and values: many rows at once, each at its own position.

A prompt is read once and its cache is shared out to its rows; rows that have ended make room. It knows tokens and
logits; it does not know how a token is chosen.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from training.policy import Policy


class Rows:
    """Running texts: their caches of [layers, rows, kv heads, positions, head width] and the next positions."""

    def __init__(self, policy: Policy, prompts: Sequence[Sequence[int]], *, count: int, room: int) -> None:
        """Reads the prompts; `count` rows go on from each, with room for `room` more tokens.

        Attributes:
            logits: what comes next in each row, [rows, vocabulary].
            numbers: which row each one was at first, [rows].
        """
        self._policy = policy
        lengths = torch.tensor([len(prompt) for prompt in prompts])
        ids = torch.zeros(len(prompts), int(lengths.max()), dtype=torch.int64)
        for row, prompt in enumerate(prompts):
            ids[row, : len(prompt)] = torch.tensor(prompt)
        shape = policy.shape
        keys = torch.zeros(shape.layers, len(prompts), shape.kv_heads, ids.shape[1] + room, shape.head_width)
        values = torch.zeros_like(keys)
        hidden = _read(policy, ids, keys, values)
        last = hidden[torch.arange(len(prompts)), lengths - 1]
        self.logits: Tensor = policy.lm_head(policy.model.norm(last)).repeat_interleave(count, dim=0)
        self._keys, self._values = keys.repeat_interleave(count, dim=1), values.repeat_interleave(count, dim=1)
        self._positions = lengths.repeat_interleave(count)
        self.numbers = torch.arange(len(self.logits))

    def keep(self, rows: Tensor) -> None:
        """Drops all other rows."""
        self._keys, self._values = self._keys[:, rows], self._values[:, rows]
        self._positions, self.numbers = self._positions[rows], self.numbers[rows]

    def read(self, tokens: Tensor) -> None:
        """Reads one token a row, [rows]."""
        policy, rows = self._policy, torch.arange(len(tokens))
        span = int(self._positions.max()) + 1
        seen = torch.arange(span) <= self._positions[:, None]
        cos, sin = policy.cos[self._positions][:, None, None], policy.sin[self._positions][:, None, None]
        x = policy.model.embed_tokens(tokens)[:, None]
        for layer, block in enumerate(policy.model.blocks):
            attention = block.self_attn
            q, k, v = attention.projected(block.input_layernorm(x), cos, sin)
            self._keys[layer, rows, :, self._positions] = k[:, :, 0]
            self._values[layer, rows, :, self._positions] = v[:, :, 0]
            keys, values = self._keys[layer, :, :, :span], self._values[layer, :, :, :span]
            x = x + attention.merged(_attended(q, keys, values, seen))
            x = x + block.mlp(block.post_attention_layernorm(x))
        self._positions += 1
        self.logits = policy.lm_head(policy.model.norm(x[:, 0]))


def _read(policy: Policy, ids: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Reads whole prompts into the caches; gives the last layer's output before the norm."""
    longest = ids.shape[1]
    cos, sin = policy.cos[:longest], policy.sin[:longest]
    x: Tensor = policy.model.embed_tokens(ids)
    for layer, block in enumerate(policy.model.blocks):
        attention = block.self_attn
        q, k, v = attention.projected(block.input_layernorm(x), cos, sin)
        keys[layer, :, :, :longest], values[layer, :, :, :longest] = k, v
        heads = functional.scaled_dot_product_attention(q, attention.spread(k), attention.spread(v), is_causal=True)
        x = x + attention.merged(heads)
        x = x + block.mlp(block.post_attention_layernorm(x))
    return x


def _attended(q: Tensor, keys: Tensor, values: Tensor, seen: Tensor) -> Tensor:
    """One query a row over its cache; the query heads of a group stay together, so no key is copied."""
    batch, heads, _, width = q.shape
    grouped = q.view(batch, keys.shape[1], heads // keys.shape[1], width)
    scores = (grouped @ keys.mT) * width**-0.5
    weights = scores.masked_fill(~seen[:, None, None], -torch.inf).softmax(-1)
    out: Tensor = weights @ values
    return out.view(batch, heads, 1, width)
