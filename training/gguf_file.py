"""A folder in Hugging Face's layout as one GGUF file for llama.cpp: `write`. It knows nothing of what a model is for.

Only what the built-in models need: the Llama architecture, with or without a head of its own. Without one, llama.cpp
takes the embedding for the head. The same folder gives the same bytes.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from gguf import (
    GGML_QUANT_VERSION,
    MODEL_ARCH,
    GGMLQuantizationType,
    GGUFWriter,
    LlamaFileType,
    get_tensor_name_map,
    quantize,
)
from numpy.typing import NDArray
from safetensors.torch import load_file

from training.gguf_vocabulary import Vocabulary, vocabulary

Precision = Literal["f16", "q8_0"]
_KINDS = {
    "f16": (GGMLQuantizationType.F16, LlamaFileType.MOSTLY_F16),
    "q8_0": (GGMLQuantizationType.Q8_0, LlamaFileType.MOSTLY_Q8_0),
}
_HEADS = ("score.weight", "score.bias")  # of a reward model; llama.cpp has no place for them
_PRE_TOKENIZER = "qwen2"  # llama.cpp's name of the expression that training/tokenizer.py splits with


@dataclass(frozen=True, slots=True)
class Card:
    """What the file says of itself."""

    name: str
    description: str
    author: str = "The Dynasor authors"
    license: str = "MIT"


def write(folder: Path, path: Path, precision: Precision, card: Card) -> None:
    """Writes the model of `folder` to `path`: matrices in `precision`, norms in float32.

    Raises:
        ValueError: where it is a model of another kind, or its tokens do not fit its embedding.
    """
    config = _config(folder)
    weights = {name: weight.float().numpy() for name, weight in load_file(folder / "model.safetensors").items()}
    writer = GGUFWriter(path, "llama")
    _add_card(writer, card, sum(weight.size for weight in weights.values()), precision)
    _add_shape(writer, config)
    _add_vocabulary(writer, vocabulary(folder), config["vocab_size"])
    _add_tensors(writer, config, weights, precision)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _config(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    rope = config.get("rope_parameters") or {}
    scaled = config.get("rope_scaling") or rope.get("rope_type", "default") != "default"
    if config["model_type"] != "llama" or scaled or config.get("attention_bias") or config.get("mlp_bias"):
        raise ValueError(f"{folder} is not a plain Llama; only that can be exported")
    config["rope_theta"] = config.get("rope_theta") or rope["rope_theta"]  # transformers 5 moved it
    config["head_dim"] = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    return config


def _add_card(writer: GGUFWriter, card: Card, parameter_count: int, precision: Precision) -> None:
    writer.add_type("model")
    writer.add_name(card.name)
    writer.add_author(card.author)
    writer.add_description(card.description)
    writer.add_license(card.license)
    writer.add_size_label(f"{parameter_count / 1e6:.1f}M")
    writer.add_file_type(_KINDS[precision][1])
    writer.add_quantization_version(GGML_QUANT_VERSION)


def _add_shape(writer: GGUFWriter, config: dict[str, Any]) -> None:
    writer.add_vocab_size(config["vocab_size"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])


def _add_vocabulary(writer: GGUFWriter, words: Vocabulary, expected_count: int) -> None:
    if len(words.tokens) != expected_count:
        raise ValueError(f"{len(words.tokens)} tokens for an embedding of {expected_count}")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(_PRE_TOKENIZER)
    writer.add_token_list(words.tokens)
    writer.add_token_types(words.types)
    writer.add_token_merges(words.merges)
    writer.add_bos_token_id(words.end)  # never put in front; unnamed, llama.cpp would take number 11 for it
    writer.add_eos_token_id(words.end)
    writer.add_pad_token_id(words.padding)
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)
    writer.add_chat_template(words.chat_template)


def _add_tensors(
    writer: GGUFWriter, config: dict[str, Any], weights: dict[str, NDArray[np.float32]], precision: Precision
) -> None:
    names = get_tensor_name_map(MODEL_ARCH.LLAMA, config["num_hidden_layers"])
    kind = _KINDS[precision][0]
    for name in sorted(weights.keys() - set(_HEADS)):
        theirs = names.get_name(name, try_suffixes=(".weight",))
        if theirs is None:
            raise ValueError(f"a Llama has no weight '{name}'")
        weight = _turned(weights[name], name, config)
        if weight.ndim == 1:
            writer.add_tensor(theirs, weight)
        else:
            writer.add_tensor(theirs, quantize(weight, kind), raw_dtype=kind)


def _turned(weight: NDArray[np.float32], name: str, config: dict[str, Any]) -> NDArray[np.float32]:
    """Queries and keys with the two halves of each head interleaved, as llama.cpp's rotation expects them."""
    if name.endswith("q_proj.weight"):
        heads = config["num_attention_heads"]
    elif name.endswith("k_proj.weight"):
        heads = config["num_key_value_heads"]
    else:
        return weight
    halves = weight.reshape(heads, 2, -1, weight.shape[1])
    return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(weight.shape)
