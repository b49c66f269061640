"""Makes the files that the package ships: `python -m training.export --model training/out/policy/model`.

Of a policy `NAME-f16.gguf`, `NAME-q8_0.gguf` and the folder `NAME`; of a reward model `reward-q8_0.gguf` without its
head, the head in `reward-q8_0.json`, and the folder `reward`. The folders are in Hugging Face's layout, for
transformers and vLLM. The same models give the same bytes.
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from training.gguf_file import Card, Precision, write

PACKAGED = Path("src/dynasor/engines/builtin_model")
_BESIDE_THE_WEIGHTS = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json")
_POLICY = "A small Llama, trained from scratch on generated word problems, that solves them in steps, one a line."
_REWARD = "Tells how likely the steps of a solution are right: its trunk only; the head is in the file beside it."


def export_policy(model: Path, out: Path, name: str = "policy") -> list[Path]:
    """Writes the policy of the folder `model`; gives what was written."""
    card = Card(f"dynasor-{name}", _POLICY)
    return [
        copy_folder(model, out / name),
        _export_gguf(model, out / f"{name}-f16.gguf", "f16", card),
        _export_gguf(model, out / f"{name}-q8_0.gguf", "q8_0", card),
    ]


def export_reward(model: Path, out: Path, precision: Precision = "q8_0") -> list[Path]:
    """Writes the reward model of the folder `model`; gives what was written."""
    gguf = _export_gguf(model, out / f"reward-{precision}.gguf", precision, Card("dynasor-reward", _REWARD))
    head = gguf.with_suffix(".json")
    head.write_text(json.dumps(_head(model)) + "\n")
    return [copy_folder(model, out / "reward"), gguf, head]


def copy_folder(model: Path, target: Path) -> Path:
    """Writes the weights of a folder in bf16, with what else is needed to serve them."""
    target.mkdir(parents=True, exist_ok=True)
    weights = load_file(model / "model.safetensors")
    bf16 = {name: weight.to(torch.bfloat16).contiguous() for name, weight in sorted(weights.items())}
    save_file(bf16, target / "model.safetensors", metadata={"format": "pt"})
    (target / "model.safetensors").chmod(0o644)  # it is written for its owner alone
    for name in _BESIDE_THE_WEIGHTS:
        if (model / name).exists():
            shutil.copyfile(model / name, target / name)
    return target


def _export_gguf(model: Path, path: Path, precision: Precision, card: Card) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".part")
    write(model, beside, precision, card)
    beside.replace(path)  # whoever has the old one mapped keeps it
    return path


def _head(model: Path) -> dict[str, object]:
    """The score is the product of `weight` and the trunk's output at the last token, plus `bias`."""
    weights = load_file(model / "model.safetensors")
    score = weights["score.weight"].to(torch.bfloat16).float()
    if score.shape[0] != 1 or "score.bias" in weights:
        raise ValueError(f"{model} does not give one score without a bias")
    return {"weight": score[0].tolist(), "bias": 0.0, "reads": "raw score at the last token"}


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else sum(part.stat().st_size for part in path.iterdir())


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("training/out/policy/model"), help="the policy's folder")
    parser.add_argument("--reward", type=Path, help="the reward model's folder")
    parser.add_argument("--out", type=Path, default=PACKAGED)
    parser.add_argument("--name", default="policy", help="the policy's name in the files")
    given = parser.parse_args()
    written = export_policy(given.model, given.out, given.name)
    if given.reward:
        written += export_reward(given.reward, given.out)
    for path in written:
        print(f"{path}: {_size(path):,} bytes")


if __name__ == "__main__":
    main()
