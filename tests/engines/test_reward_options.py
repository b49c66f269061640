from pathlib import Path
from typing import Any

import pytest

from dynasor.engines import builtin
from dynasor.engines.embedded_reward import RewardScorer
from dynasor.engines.endpoint import Endpoint
from dynasor.engines.reward_http import HttpRewardModel
from dynasor.engines.reward_memory import RememberingRewardModel
from dynasor.engines.reward_options import RewardFile, RewardOptions, RewardServer, make_reward_model, parse_reward
from dynasor.engines.reward_wire import RewardForm
from dynasor.errors import EngineError, UnknownName, UsageError
from support.gguf_models import LastTokenModel

URL = "http://localhost:8001/v1"


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A reward model in the place of the one that is shipped."""
    monkeypatch.setattr(builtin, "_FOLDER", tmp_path)
    file = LastTokenModel().write(tmp_path / "reward-q8_0.gguf")
    file.with_suffix(".json").write_text('{"weight": [1.0]}')
    return file


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("judge.gguf", RewardFile(Path("judge.gguf"))),
        (" a/judge.gguf,threads=2, context_tokens=512 ", RewardFile(Path("a/judge.gguf"), "", 512, 2)),
        ("judge.gguf,end=<|im_end|>", RewardFile(Path("judge.gguf"), "<|im_end|>")),
        ("http://localhost:8001", RewardServer(Endpoint(URL, stream=False))),
        ("https://h/v1,model=a:b", RewardServer(Endpoint("https://h/v1", "a:b", stream=False))),
        (
            f"{URL},api=pooling,squash=true,reduce=minimum,step_tag=<extra_0>,end=</s>,api_key_variable=KEY",
            RewardServer(
                Endpoint(URL, stream=False, api_key_variable="KEY"),
                RewardForm(api="pooling", squash=True, reduce="minimum", step_tag="<extra_0>"),
                "</s>",
            ),
        ),
        (f"{URL},squash=false", RewardServer(Endpoint(URL, stream=False))),
    ],
)
def test_what_a_user_writes(text: str, options: RewardOptions) -> None:
    assert parse_reward(text) == options


@pytest.mark.parametrize(
    ("text", "kind", "told"),
    [
        ("judge", UsageError, r"'judge' is no reward model; give builtin, FILE\.gguf, or the address of a server"),
        ("", UsageError, "'' is no reward model"),
        ("http://", UsageError, "'http://' is not the address of a server"),
        (f"{URL},apy=score", UnknownName, r"unknown option of a reward server 'apy'; did you mean 'api'\?"),
        (f"{URL},threads=2", UnknownName, "unknown option of a reward server 'threads'"),
        (f"{URL},api=scores", UnknownName, "unknown api of a reward model 'scores'"),
        (f"{URL},squash=maybe", UsageError, "squash is 'maybe'; it must be true or false"),
        (f"{URL},squash", UsageError, "'squash' in 'server:squash' is not an option"),
        ("judge.gguf,model=a", UnknownName, "unknown option of a reward file 'model'"),
        ("judge.gguf,threads=two", UsageError, "threads is 'two'; it must be a whole number, 1 or more"),
        ("judge.gguf,threads=0", UsageError, "threads and context_tokens of a reward model must be 1 or more"),
        ("judge.gguf,context_tokens=0", UsageError, "threads and context_tokens of a reward model must be 1 or more"),
    ],
)
def test_what_cannot_be(text: str, kind: type[Exception], told: str) -> None:
    with pytest.raises(kind, match=f"^{told}"):
        parse_reward(text)


def test_the_shipped_one(shipped: Path) -> None:
    options = parse_reward("builtin,threads=2")
    assert options == RewardFile(shipped, "<|end|>", threads=2)
    assert options.place == f"builtin ({shipped.name})"
    model = make_reward_model(options)
    assert isinstance(model, RememberingRewardModel)
    assert isinstance(model.reward_model, RewardScorer)
    assert model.end == "<|end|>"


def test_the_shipped_one_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtin, "_FOLDER", tmp_path)
    with pytest.raises(EngineError, match=r"^this installation lacks a file of the built-in model: .*reward-q8_0"):
        parse_reward("builtin")


def test_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    options = parse_reward("http://localhost:8001,end=</s>")
    assert options.place == URL
    model = make_reward_model(options)
    assert isinstance(model, RememberingRewardModel)
    assert isinstance(model.reward_model, HttpRewardModel)
    assert model.end == "</s>"
    monkeypatch.setenv("OPENAI_API_KEY", "no\nkey")
    with pytest.raises(UsageError, match=r"\$OPENAI_API_KEY holds a character"):
        make_reward_model(options)


def test_whatever_changes_a_reward_changes_the_identity(shipped: Path) -> None:
    def identities() -> set[str]:
        texts = ["builtin", f"{shipped}", URL, *(f"{URL},{option}" for option in ("model=a", "api=score", "end=x"))]
        return {parse_reward(text).identity for text in texts}

    before = identities()
    assert len(before) == 6
    shipped.with_suffix(".json").write_text('{"weight": [2.0]}')
    assert len(before & identities()) == 4
    shipped.with_suffix(".json").unlink()
    assert len(before & identities()) == 4


@pytest.mark.parametrize("option", ["api_key_variable=KEY", "squash=false"])
def test_what_changes_no_reward_changes_no_identity(option: str) -> None:
    assert parse_reward(f"{URL},{option}").identity == parse_reward(URL).identity


def test_no_file_has_no_identity() -> None:
    with pytest.raises(UsageError, match=r"^no such file: judge\.gguf"):
        _: Any = parse_reward("judge.gguf").identity
