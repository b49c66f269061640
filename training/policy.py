"""The policy: a Llama in plain PyTorch, whose weights carry the names that Hugging Face gives them.

So the saved folder serves transformers and vLLM unchanged. Written out here because one block compiled for a few static
shapes trains faster on CPU than the reference implementation, which the tests compare it with.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a policy."""

    vocabulary: int = 1024
    width: int = 128
    layers: int = 6
    heads: int = 4
    kv_heads: int = 2
    hidden: int = 384
    context: int = 1024
    rope_base: float = 10_000.0
    epsilon: float = 1e-5

    @property
    def head_width(self) -> int:
        """The width of one attention head."""
        return self.width // self.heads


Cache = list[tuple[Tensor, Tensor]]  # keys and values of each layer: [batch, kv heads, tokens, head width]


class Norm(nn.Module):
    """Root-mean-square norm."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        """[..., width] to the same."""
        wide = x.float()
        scaled = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.epsilon)
        return (self.weight * scaled).to(x.dtype)


class Linear(nn.Linear):
    """A matrix that multiplies bf16 numbers where it is told to; what goes in and comes out is float32 all the same.

    Not autocast, which would also turn queries and keys with 8 bits of precision.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)
        self.bf16 = False

    def forward(self, x: Tensor) -> Tensor:
        """[..., inputs] to [..., outputs]."""
        if self.bf16:
            return functional.linear(x.bfloat16(), self.weight.bfloat16()).float()
        return functional.linear(x, self.weight)


class Attention(nn.Module):
    """Grouped-query attention with rotary positions."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        narrow = shape.kv_heads * shape.head_width
        self.q_proj = Linear(shape.width, shape.width)
        self.k_proj = Linear(shape.width, narrow)
        self.v_proj = Linear(shape.width, narrow)
        self.o_proj = Linear(shape.width, shape.width)

    def projected(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of [batch, tokens, width], heads first, positions turned in."""
        batch, tokens, _ = x.shape
        q = self.q_proj(x).view(batch, tokens, -1, self.shape.head_width).transpose(1, 2)
        k = self.k_proj(x).view(batch, tokens, -1, self.shape.head_width).transpose(1, 2)
        v = self.v_proj(x).view(batch, tokens, -1, self.shape.head_width).transpose(1, 2)
        return turned(q, cos, sin), turned(k, cos, sin), v

    def merged(self, heads: Tensor) -> Tensor:
        """[batch, heads, tokens, head width] back to [batch, tokens, width]."""
        batch, _, tokens, _ = heads.shape
        out: Tensor = self.o_proj(heads.transpose(1, 2).reshape(batch, tokens, self.shape.width))
        return out

    def spread(self, x: Tensor) -> Tensor:
        """Each key or value head repeated for the query heads that share it."""
        return x.repeat_interleave(self.shape.heads // self.shape.kv_heads, dim=1)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Causal attention within [batch, tokens, width]."""
        q, k, v = self.projected(x, cos, sin)
        return self.merged(functional.scaled_dot_product_attention(q, self.spread(k), self.spread(v), is_causal=True))


class Mlp(nn.Module):
    """The gated feed-forward layer."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate_proj = Linear(shape.width, shape.hidden)
        self.up_proj = Linear(shape.width, shape.hidden)
        self.down_proj = Linear(shape.hidden, shape.width)

    def forward(self, x: Tensor) -> Tensor:
        """[..., width] to the same."""
        out: Tensor = self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


class Block(nn.Module):
    """One layer."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.self_attn = Attention(shape)
        self.mlp = Mlp(shape)
        self.input_layernorm = Norm(shape.width, shape.epsilon)
        self.post_attention_layernorm = Norm(shape.width, shape.epsilon)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """[batch, tokens, width] to the same."""
        attended = x + self.self_attn(self.input_layernorm(x), cos, sin)
        out: Tensor = attended + self.mlp(self.post_attention_layernorm(attended))
        return out


class Trunk(nn.Module):
    """Embedding, layers and the last norm."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(shape.vocabulary, shape.width)
        self.layers = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = Norm(shape.width, shape.epsilon)

    @property
    def blocks(self) -> list[Block]:
        """The layers by their type."""
        return [block for block in self.layers if isinstance(block, Block)]


class Policy(nn.Module):
    """The language model."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.model = Trunk(shape)
        self.lm_head = Linear(shape.width, shape.vocabulary)
        cos, sin = rotations(shape)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self.cos: Tensor
        self.sin: Tensor
        for name, weight in self.named_parameters():
            if weight.ndim == 2:
                last = name.endswith(("o_proj.weight", "down_proj.weight"))
                nn.init.normal_(weight, std=0.02 if not last else 0.02 / (2 * shape.layers) ** 0.5)

    def compute_in_bf16(self) -> None:
        """Has the matrices of the blocks multiply bf16 numbers; the heads, whose logits must be exact, do not."""
        for module in self.model.modules():
            if isinstance(module, Linear):
                module.bf16 = True

    def through(self, blocks: Sequence[Block], x: Tensor) -> Tensor:
        """[batch, tokens, width] through some of the layers."""
        cos, sin = self.cos[: x.shape[1]], self.sin[: x.shape[1]]
        for block in blocks:
            x = block(x, cos, sin)
        return x

    def hidden(self, ids: Tensor) -> Tensor:
        """The last layer's output for token ids of [batch, tokens]."""
        out: Tensor = self.model.norm(self.through(self.model.blocks, self.model.embed_tokens(ids)))
        return out

    def forward(self, ids: Tensor) -> Tensor:
        """Logits of [batch, tokens, vocabulary] for token ids of [batch, tokens]."""
        out: Tensor = self.lm_head(self.hidden(ids))
        return out


class RewardModel(Policy):
    """A model with a scalar head beside the other one."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.score = nn.Linear(shape.width, 1, bias=False)
        nn.init.zeros_(self.score.weight)

    def rewards(self, ids: Tensor) -> Tensor:
        """A score for each prefix of [batch, tokens]: the log-odds that everything so far is right."""
        out: Tensor = self.score(self.hidden(ids))[..., 0]
        return out


def rotations(shape: Shape) -> tuple[Tensor, Tensor]:
    """Cosines and sines of every position, each [context, head width]."""
    pairs = torch.arange(0, shape.head_width, 2, dtype=torch.float32) / shape.head_width
    angles = torch.outer(torch.arange(shape.context, dtype=torch.float32), shape.rope_base**-pairs)
    both = torch.cat([angles, angles], dim=-1)
    return both.cos(), both.sin()


def turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotates the halves of each head (the order that Hugging Face's weights expect)."""
    one, two = x.chunk(2, dim=-1)
    return x * cos.to(x.dtype) + torch.cat([-two, one], dim=-1) * sin.to(x.dtype)
