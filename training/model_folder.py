"""A policy on disk, in the folder layout of Hugging Face: weights, configuration and tokenizer.

It knows file names and keys; it does not know how a policy computes or is trained.
"""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from training.policy import Policy, RewardModel, Shape


def save(policy: Policy, tokenizer_folder: Path, folder: Path, *, end_token: int, pad_token: int) -> None:
    """Writes a folder in Hugging Face's layout: bf16 weights, configuration and tokenizer.

    A reward model is written as a classifier of one label, without the language model's head.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: weight.detach().to(torch.bfloat16).contiguous() for name, weight in policy.state_dict().items()}
    config = _config(policy.shape, end_token, pad_token)
    if isinstance(policy, RewardModel):
        del weights["lm_head.weight"]
        config |= {
            "architectures": ["LlamaForSequenceClassification"],
            "num_labels": 1,
            "id2label": {"0": "right"},
            "label2id": {"right": 0},
        }
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)  # it is written for its owner alone
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    generation = {"eos_token_id": end_token, "pad_token_id": pad_token, "do_sample": True, "temperature": 0.8}
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(tokenizer_folder / name, folder / name)


def load(folder: Path) -> Policy:
    """The model of a folder that `save` wrote, in float32; a reward model's other head is not trained."""
    config = json.loads((folder / "config.json").read_text())
    reward = config["architectures"] == ["LlamaForSequenceClassification"]
    policy = (RewardModel if reward else Policy)(Shape(
        vocabulary=config["vocab_size"], width=config["hidden_size"], layers=config["num_hidden_layers"],
        heads=config["num_attention_heads"], kv_heads=config["num_key_value_heads"], hidden=config["intermediate_size"],
        context=config["max_position_embeddings"], rope_base=config["rope_theta"], epsilon=config["rms_norm_eps"],
    ))  # fmt: skip
    weights = {name: weight.float() for name, weight in load_file(folder / "model.safetensors").items()}
    policy.load_state_dict(weights, strict=not reward)
    return policy.eval()


def _config(shape: Shape, end_token: int, pad_token: int) -> dict[str, object]:
    return {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": shape.vocabulary,
        "hidden_size": shape.width, "num_hidden_layers": shape.layers, "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads, "head_dim": shape.head_width, "intermediate_size": shape.hidden,
        "max_position_embeddings": shape.context, "rope_theta": shape.rope_base, "rms_norm_eps": shape.epsilon,
        "hidden_act": "silu", "tie_word_embeddings": False, "attention_bias": False, "mlp_bias": False,
        "attention_dropout": 0.0, "initializer_range": 0.02, "bos_token_id": None, "eos_token_id": end_token,
        "pad_token_id": pad_token, "torch_dtype": "bfloat16", "use_cache": True,
    }  # fmt: skip
