"""A reward model with a known output, made of a policy's weights.

The score of a text is how much likelier the policy would go on with one token than with another: the difference of two
rows of its last layer. So the policy itself tells what the reward of every text must be.
"""

import json
import shutil
import struct
from pathlib import Path

Tensors = dict[str, tuple[str, list[int], bytes]]
"""Name: type, shape, and the bytes of the elements, as the safetensors format has them."""


def make_reward_folder(policy: Path, folder: Path, *, likelier: str, than: str) -> Path:
    """Write a sequence classifier with one label, and return its folder.

    Its logit for a text is ln P(likelier | text) - ln P(than | text) under the policy.
    """
    folder.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(policy / name, folder / name)
    config = json.loads((policy / "config.json").read_bytes())
    label = {"num_labels": 1, "id2label": {"0": "reward"}, "label2id": {"reward": 0}}
    config |= {"architectures": ["LlamaForSequenceClassification"], **label}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    tokens = json.loads((policy / "tokenizer.json").read_bytes())["model"]["vocab"]
    tensors = read_tensors(policy / "model.safetensors")
    kind, (_, width), last_layer = tensors.pop("lm_head.weight")
    assert kind == "BF16"
    first, second = (_row(last_layer, tokens[token], width) for token in (likelier, than))
    score = struct.pack(f"<{width}f", *(one - other for one, other in zip(first, second, strict=True)))
    write_tensors(folder / "model.safetensors", tensors | {"score.weight": ("F32", [1, width], score)})
    return folder


def read_tensors(path: Path) -> Tensors:
    content = path.read_bytes()
    start = 8 + struct.unpack_from("<Q", content)[0]
    header = json.loads(content[8:start])
    header.pop("__metadata__", None)
    return {
        name: (entry["dtype"], entry["shape"], content[slice(*(start + offset for offset in entry["data_offsets"]))])
        for name, entry in header.items()
    }


def write_tensors(path: Path, tensors: Tensors) -> None:
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, (kind, shape, elements) in tensors.items():
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [end, end + len(elements)]}
        end += len(elements)
    head = json.dumps(header).encode()
    path.write_bytes(b"".join([struct.pack("<Q", len(head)), head, *(elements for _, _, elements in tensors.values())]))


def _row(matrix: bytes, number: int, width: int) -> list[float]:
    """One row of a matrix of bfloat16, which is the upper half of a float32."""
    halves = struct.unpack_from(f"<{width}H", matrix, 2 * width * number)
    return [float(struct.unpack("<f", struct.pack("<I", half << 16))[0]) for half in halves]
