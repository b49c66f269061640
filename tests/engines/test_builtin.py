"""The model that ships: its files are there, and llama.cpp answers as transformers did when they were made."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from dynasor.engines import builtin
from dynasor.errors import EngineError

EXPECTED = json.loads(Path(__file__).with_name("builtin_expected.json").read_text())


@pytest.mark.parametrize("path", [builtin.policy_gguf(), builtin.policy_gguf("q8_0")], ids=lambda path: path.name)
def test_a_gguf_file_is_one(path: Path) -> None:
    with path.open("rb") as file:
        magic, version, tensor_count, pair_count = struct.unpack("<4sIQQ", file.read(24))
    assert (magic, version) == (b"GGUF", 3)
    assert tensor_count == 6 * 9 + 3, "six layers of nine, embedding, norm and head"
    assert pair_count > 20


def test_the_folder_serves_transformers_and_vllm() -> None:
    folder = builtin.policy_folder()
    config = json.loads((folder / "config.json").read_text())
    tokens = json.loads((folder / "tokenizer_config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert "Solution:" in tokens["chat_template"]
    assert (folder / "tokenizer.json").is_file()
    header_length = struct.unpack("<Q", (folder / "model.safetensors").read_bytes()[:8])[0]
    weights = json.loads((folder / "model.safetensors").read_bytes()[8 : 8 + header_length])
    weights.pop("__metadata__")
    assert {weight["dtype"] for weight in weights.values()} == {"BF16"}
    assert weights["model.embed_tokens.weight"]["shape"] == [config["vocab_size"], config["hidden_size"]]


def test_the_model_card_has_its_figures() -> None:
    card = builtin.policy_gguf().with_name("MODEL_CARD.md").read_text()
    assert "accuracy of one sample" in card


def test_the_files_are_small() -> None:
    folder = builtin.policy_gguf().parent
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 16_000_000


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        (builtin.policy_gguf, "policy-f16.gguf"),
        (builtin.policy_folder, "model.safetensors"),
        (builtin.reward_gguf, "reward-q8_0.gguf"),
        (builtin.reward_head, "reward-q8_0.json"),
        (builtin.reward_folder, "model.safetensors"),
    ],
)
def test_a_missing_file_is_told(asked: Any, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtin, "_FOLDER", tmp_path)
    with pytest.raises(EngineError, match=rf"^this installation lacks .*{name}; install dynasor-serve again") as raised:
        asked()
    assert not raised.value.retryable


@pytest.fixture(scope="module", params=["f16", "q8_0"])
def llama(request: pytest.FixtureRequest) -> Any:
    xllamacpp = pytest.importorskip("xllamacpp")
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(builtin.policy_gguf(request.param))
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = parameters.n_parallel = 1
    parameters.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    parameters.n_ctx, parameters.verbosity = 512, -1
    return xllamacpp.Server(parameters)


def greedy(prompt: str) -> dict[str, Any]:
    return {"prompt": prompt, "max_tokens": 200, "temperature": 0}


@pytest.mark.parametrize("expected", EXPECTED, ids=range(len(EXPECTED)))
def test_llama_cpp_answers_as_transformers(llama: Any, expected: dict[str, str]) -> None:
    choice = llama.handle_completions(greedy(expected["prompt"]))["choices"][0]
    assert (choice["text"], choice["finish_reason"]) == (expected["text"], "stop")


def test_the_chat_template_makes_the_prompt(llama: Any) -> None:
    expected = EXPECTED[0]
    question = expected["prompt"].removeprefix("Question: ").partition("\n")[0]
    asked = {"messages": [{"role": "user", "content": question}], "max_tokens": 200, "temperature": 0}
    answered = llama.handle_chat_completions(asked)["choices"][0]["message"]["content"]
    assert answered == expected["text"]


def test_a_shipped_model_is_nowhere_but_in_this_package(tmp_path: Path) -> None:
    assert builtin.place_of(builtin.policy_gguf()) == "builtin (policy-f16.gguf)"
    assert builtin.place_of(tmp_path / "own.gguf") == str(tmp_path / "own.gguf")
