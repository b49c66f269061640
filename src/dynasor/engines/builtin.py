"""Where the built-in model lies: a small Llama that ships with the package (`builtin_model/MODEL_CARD.md`).

Each model is there twice: as a GGUF file, for llama.cpp, and as a folder in Hugging Face's layout, for vLLM and
transformers. Knows paths only; knows nothing of what serves them.
"""

from pathlib import Path
from typing import Literal

from dynasor.errors import EngineError

REWARD_END = "<|end|>"
"""What finished solutions ended with when the reward model was trained; it is the policy's end of text."""

_FOLDER = Path(__file__).with_name("builtin_model")


def place_of(file: Path) -> str:
    """Where a model is, for the record; of one that is shipped no more than that, for it comes with this package."""
    return f"builtin ({file.name})" if file.parent == _FOLDER else str(file)


def policy_gguf(precision: Literal["f16", "q8_0"] = "f16") -> Path:
    """The GGUF file of the model that solves word problems; `q8_0` is half as large and faster, `f16` more exact.

    Raises:
        EngineError: where the installation lacks it.
    """
    return _shipped(f"policy-{precision}.gguf")


def policy_folder() -> Path:
    """The folder of the same model: `model.safetensors` (bf16), `config.json`, tokenizer and chat template.

    Raises:
        EngineError: where the installation lacks it.
    """
    return _shipped("policy/model.safetensors").parent


def reward_gguf() -> Path:
    """The GGUF file of the reward model's trunk; llama.cpp has no place for its head.

    The head is the JSON file of the same name (`reward_head`).

    Raises:
        EngineError: where the installation lacks it.
    """
    return _shipped("reward-q8_0.gguf")


def reward_head() -> Path:
    """The JSON file of the reward model's head: `weight`, as many numbers as the trunk is wide, and `bias`.

    The score is weight · (the trunk's output at the last token) + bias.

    Raises:
        EngineError: where the installation lacks it.
    """
    return _shipped("reward-q8_0.json")


def reward_folder() -> Path:
    """The folder of the reward model, head included: a `LlamaForSequenceClassification` with one label.

    Raises:
        EngineError: where the installation lacks it.
    """
    return _shipped("reward/model.safetensors").parent


def _shipped(name: str) -> Path:
    path = _FOLDER / name
    if not path.is_file():
        raise EngineError(
            f"this installation lacks a file of the built-in model: {path}; install dynasor-serve again, or make the"
            " file with training.export",
            retryable=False,
        )
    return path
