"""The exported files, for a small random Llama of Hugging Face's: llama.cpp computes what transformers computes."""

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")
gguf = pytest.importorskip("gguf")
xllamacpp = pytest.importorskip("xllamacpp")
export = pytest.importorskip("training.export")
gguf_file = pytest.importorskip("training.gguf_file")
greedy = pytest.importorskip("training.greedy")
greedy_llama = pytest.importorskip("training.greedy_llama")
agreement = pytest.importorskip("training.agreement")

pytestmark = pytest.mark.slow

TEMPLATE = "{% for message in messages %}Question: {{ message['content'] }}\n{% endfor %}"
SHAPE = {
    "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "intermediate_size": 96, "max_position_embeddings": 256, "initializer_range": 0.4, "bos_token_id": None,
}  # fmt: skip
PROMPTS = ["Question: 17 pens\n", "a <think>b</think> c\n\n", "naïve 東京 12*34"]


def write_tokenizer(folder: Path) -> Any:
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    pieces = [*alphabet, "pe", "pen", "Ġa"]
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.BPE(
            {piece: number for number, piece in enumerate(pieces)}, [("p", "e"), ("pe", "n"), ("Ġ", "a")]
        )
    )
    digits = tokenizers.pre_tokenizers.Split(tokenizers.Regex(r"\p{N}| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+"), "isolated")
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [digits, tokenizers.pre_tokenizers.ByteLevel(False, use_regex=False)]
    )
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|end|>", "<|pad|>"])
    tokenizer.add_tokens(
        [tokenizers.AddedToken("<think>", special=False), tokenizers.AddedToken("</think>", special=False)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|end|>", "pad_token": "<|pad|>",
        "add_bos_token": False, "clean_up_tokenization_spaces": False, "chat_template": TEMPLATE,
    }  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return tokenizer


def write_model(folder: Path, kind: str, **more: Any) -> Any:
    folder.mkdir()
    tokenizer = write_tokenizer(folder)
    ends = {"eos_token_id": tokenizer.token_to_id("<|end|>"), "pad_token_id": tokenizer.token_to_id("<|pad|>")}
    config = transformers.LlamaConfig(**SHAPE, **ends, vocab_size=tokenizer.get_vocab_size(), **more)
    torch.manual_seed(0)
    model = getattr(transformers, kind)(config).to(torch.bfloat16)
    model.save_pretrained(folder)
    return model.float().eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("policy") / "model"
    write_model(path, "LlamaForCausalLM", tie_word_embeddings=False)
    return path


@pytest.fixture(scope="module")
def out(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported")
    export.export_policy(folder, path)
    return path


@pytest.fixture(scope="module")
def reference(out: Path) -> Any:
    return greedy.Reference(out / "policy")


@pytest.fixture(scope="module")
def llama(out: Path, reference: Any) -> Iterator[Any]:
    with greedy_llama.LlamaCpp(out / "policy-f16.gguf", reference.end) as running:
        yield running


def test_llama_cpp_continues_as_transformers_does(reference: Any, llama: Any) -> None:
    prompts = [greedy.Prompt(text, reference.tokenizer(text)["input_ids"]) for text in PROMPTS]
    assert llama.continuations(prompts, 12) == reference.continuations(prompts, 12)


def test_llama_cpp_tokenises_as_the_library_does(reference: Any, llama: Any) -> None:
    for text in [*PROMPTS, "<|end|>", "1<think>2"]:
        assert llama.tokens(text) == reference.tokenizer(text)["input_ids"]


def field(path: Path, name: str) -> Any:
    return gguf.GGUFReader(path).get_field(name).contents()


def test_the_file_says_what_it_is(out: Path) -> None:
    path = out / "policy-f16.gguf"
    assert field(path, "general.name") == "dynasor-policy"
    assert field(path, "general.license") == "MIT"
    assert field(path, "llama.context_length") == SHAPE["max_position_embeddings"]
    assert (field(path, "tokenizer.ggml.model"), field(path, "tokenizer.ggml.pre")) == ("gpt2", "qwen2")
    assert field(path, "tokenizer.ggml.add_bos_token") is False
    assert field(path, "tokenizer.chat_template") == TEMPLATE


def test_tokens_are_of_their_kinds(out: Path) -> None:
    path = out / "policy-f16.gguf"
    kinds = dict(zip(field(path, "tokenizer.ggml.tokens"), field(path, "tokenizer.ggml.token_type"), strict=True))
    types = gguf.TokenType
    assert {kinds["<|end|>"], kinds["<|pad|>"]} == {types.CONTROL}
    assert {kinds["<think>"], kinds["</think>"]} == {types.USER_DEFINED}
    assert {kind for token, kind in kinds.items() if not token.startswith("<") or token == "<"} == {types.NORMAL}


def test_matrices_are_quantized_and_norms_are_not(out: Path) -> None:
    kinds = {tensor.name: tensor.tensor_type.name for tensor in gguf.GGUFReader(out / "policy-q8_0.gguf").tensors}
    assert kinds["output.weight"] == kinds["token_embd.weight"] == kinds["blk.1.attn_q.weight"] == "Q8_0"
    assert kinds["output_norm.weight"] == kinds["blk.0.attn_norm.weight"] == "F32"
    assert sum(kind == "F32" for kind in kinds.values()) == 2 * 2 + 1


def test_the_same_model_gives_the_same_bytes(folder: Path, out: Path, tmp_path: Path) -> None:
    export.export_policy(folder, tmp_path)
    written = sorted(path.relative_to(out) for path in out.rglob("*") if path.is_file())
    assert len(written) == 7
    for path in written:
        assert _digest(tmp_path / path) == _digest(out / path), path


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_reward_model_scores_in_llama_cpp_as_in_transformers(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", "LlamaForSequenceClassification", num_labels=1)
    export.export_reward(tmp_path / "model", tmp_path / "out", "f16")
    head = json.loads((tmp_path / "out" / "reward-f16.json").read_text())
    names = [tensor.name for tensor in gguf.GGUFReader(tmp_path / "out" / "reward-f16.gguf").tensors]
    assert "output.weight" not in names
    tokenizer = tokenizers.Tokenizer.from_file(str(tmp_path / "out" / "reward" / "tokenizer.json"))
    ids = [tokenizer.encode(text).ids for text in PROMPTS]
    with torch.inference_mode():
        expected = [float(model(torch.tensor([one])).logits) for one in ids]
    scores = [_dot(head["weight"], vector) + head["bias"] for vector in _embedded(tmp_path / "out", ids)]
    assert scores == pytest.approx(expected, abs=0.02)
    assert max(expected) - min(expected) > 1


def _embedded(folder: Path, ids: list[list[int]]) -> list[list[float]]:
    """The trunk's output at the last token of each text."""
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(folder / "reward-f16.gguf")
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = parameters.n_parallel = 1
    parameters.embedding, parameters.embd_normalize, parameters.verbosity = True, -1, -1
    parameters.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_LAST
    answered = xllamacpp.Server(parameters).handle_embeddings({"input": ids})
    return [one["embedding"] for one in answered["data"]]


def _dot(one: list[float], two: list[float]) -> float:
    return sum(left * right for left, right in zip(one, two, strict=True))


def test_other_models_are_refused(folder: Path, tmp_path: Path) -> None:
    card = gguf_file.Card("x", "y")
    for change, told in (({"model_type": "qwen2"}, "not a plain Llama"), ({"vocab_size": 7}, "for an embedding of 7")):
        broken = export.copy_folder(folder, tmp_path / next(iter(change)))
        config = json.loads((folder / "config.json").read_text()) | change
        (broken / "config.json").write_text(json.dumps(config))
        with pytest.raises(ValueError, match=told):
            gguf_file.write(broken, tmp_path / "x.gguf", "f16", card)


def test_a_vocabulary_with_a_gap_is_refused(folder: Path, tmp_path: Path) -> None:
    broken = export.copy_folder(folder, tmp_path / "model")
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    del tokenizer["added_tokens"][0]
    (broken / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(ValueError, match="without gaps"):
        gguf_file.write(broken, tmp_path / "x.gguf", "f16", gguf_file.Card("x", "y"))


def test_the_command_line(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["export", "--model", str(folder), "--out", str(tmp_path), "--name", "other"])
    export.main()
    assert (tmp_path / "other-q8_0.gguf").read_bytes()[:4] == b"GGUF"


@pytest.mark.parametrize(
    ("one", "two", "place"), [([1, 2], [1, 2], None), ([1, 2], [1, 3], 1), ([1], [1, 3], 1), ([], [4], 0)]
)
def test_where_two_answers_part(one: list[int], two: list[int], place: int | None) -> None:
    assert agreement.first_difference(one, two) == place
