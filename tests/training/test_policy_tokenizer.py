import random
from pathlib import Path
from typing import Any

import pytest
from training.problems import problem, problems

tokenizing = pytest.importorskip("training.tokenizer")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer")
    tokenizing.save(tokenizing.trained(problem_count=2_000), path)
    return path


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Any:
    return tokenizing.load(folder)


@pytest.mark.slow
def test_digits_and_newlines_stand_alone(tokenizer: Any) -> None:
    pieces = tokenizer.get_vocab()
    assert not [
        piece
        for piece in pieces
        if len(piece) > 1 and any(letter.isdigit() for letter in piece) and "spare" not in piece
    ]
    assert [piece for piece in pieces if "Ċ" in piece] == ["Ċ"]
    text = "Question: Ben has 123 pens.\nSolution:\nBen has 123-23=100 pens\nThe answer is 100"
    tokens = tokenizer.encode(text).tokens
    assert tokens.count("Ċ") == 3
    assert tokens[-3:] == ["1", "0", "0"]


@pytest.mark.slow
def test_text_comes_back_and_the_vocabulary_is_padded(tokenizer: Any) -> None:
    stream = problems(5, "test")
    for _ in range(50):
        drawn = next(stream)
        text = tokenizing.prompt(drawn.question) + drawn.solution
        assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == text
    odd = "naïve 東京 \t x\r\n\n{}"
    assert tokenizer.decode(tokenizer.encode(odd).ids, skip_special_tokens=False) == odd
    assert tokenizer.get_vocab_size() % 64 == 0
    assert tokenizer.encode(tokenizing.END).tokens == ["<|end|>"]


@pytest.mark.slow
def test_the_chat_template_renders_the_training_format(folder: Path, tokenizer: Any) -> None:
    transformers = pytest.importorskip("transformers")
    theirs = transformers.PreTrainedTokenizerFast.from_pretrained(str(folder))
    drawn = problem(random.Random(3))
    asked = [{"role": "user", "content": drawn.question}]
    assert theirs.apply_chat_template(asked, tokenize=False, add_generation_prompt=True) == tokenizing.prompt(
        drawn.question
    )
    answered = [*asked, {"role": "assistant", "content": drawn.solution}]
    whole = tokenizing.prompt(drawn.question) + drawn.solution + tokenizing.END
    assert theirs.apply_chat_template(answered, tokenize=False) == whole
    assert theirs(whole)["input_ids"] == tokenizer.encode(whole).ids
