import builtins
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dynasor.engines.builtin import policy_gguf
from dynasor.engines.chat_text import ChatText
from dynasor.engines.embedded_file import GgufFile, read_gguf
from dynasor.engines.embedded_server import LlamaServer, Loading
from dynasor.errors import EngineError, MissingExtra, UsageError
from dynasor.request import Message

SYSTEM, USER = Message("system", "Be exact."), Message("user", "1 + 1 =")
BEGUN = Message("assistant", "First,\n")
TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<a>{% endif %}"
)


def file_with(template: str) -> GgufFile:
    return GgufFile(Path("judge.gguf"), 0, {"tokenizer.chat_template": template} if template else {})


@pytest.mark.parametrize(
    ("template", "turns", "text"),
    [
        (TEMPLATE, (SYSTEM, USER), "<system>Be exact.<user>1 + 1 =<a>"),
        (TEMPLATE, (USER, BEGUN), "<user>1 + 1 =<a>First,\n"),
        (TEMPLATE, (USER, BEGUN, USER), "<user>1 + 1 =<assistant>First,\n<user>1 + 1 =<a>"),
        ("", (SYSTEM, USER), "Be exact.\n\n1 + 1 ="),
        ("", (SYSTEM, USER, BEGUN), "Be exact.\n\n1 + 1 =First,\n"),
        ("", (), ""),
    ],
)
def test_the_text_of_a_conversation(template: str, turns: tuple[Message, ...], text: str) -> None:
    assert ChatText(file_with(template))(turns) == text


@pytest.mark.parametrize("template", [TEMPLATE, ""])
def test_plain_text_stays_as_it_is(template: str) -> None:
    assert ChatText(file_with(template))("{{ 1 + 1 =") == "{{ 1 + 1 ="


@pytest.fixture(scope="module")
def told_by_llama_cpp() -> Iterator[Callable[[tuple[Message, ...]], str]]:
    """The prompt that llama.cpp makes of a conversation, for the model that is shipped."""
    server = LlamaServer(Loading(file=policy_gguf(), slots=1, context_tokens=512))
    server.load()

    def prompt(turns: tuple[Message, ...]) -> str:
        got: list[Any] = []

        def take(chunk: object) -> bool:
            got.append(chunk)
            return False

        messages = [{"role": turn.role, "content": turn.content} for turn in turns]
        fields = {"messages": messages, "max_tokens": 1, "verbose": True, "reasoning_format": "none"}
        server.ask(fields, take, chat=True)
        text: str = got[0]["__verbose"]["prompt"]
        return text

    yield prompt
    server.free()


@pytest.mark.parametrize("turns", [(USER,), (USER, BEGUN), (SYSTEM, USER), (SYSTEM, USER, BEGUN)])
def test_it_is_the_prompt_of_the_embedded_engine(
    told_by_llama_cpp: Callable[[tuple[Message, ...]], str], turns: tuple[Message, ...]
) -> None:
    assert ChatText(read_gguf(policy_gguf()))(turns) == told_by_llama_cpp(turns)


def test_a_template_that_cannot_be_read() -> None:
    with pytest.raises(UsageError, match=r"^the chat template of judge\.gguf cannot be read: "):
        ChatText(file_with("{% for"))


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{{ raise_exception('roles must alternate') }}", "roles must alternate"),
        ("{{ messages[0].content + 1 }}", "can only concatenate str"),
        ("{{ messages.clear() }}", "access to attribute 'clear' of 'list' object is unsafe"),
        ("{{ nobody.knows }}", "'nobody' is undefined"),
    ],
)
def test_a_template_that_refuses(template: str, told: str) -> None:
    with pytest.raises(EngineError, match=rf"^the chat template of judge\.gguf refuses a conversation: {told}"):
        ChatText(file_with(template))((USER,))


def test_what_reads_templates_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("jinja2"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match=r"^the chat template of a GGUF model needs an extra: .*\[embedded\]"):
        ChatText(file_with(TEMPLATE))
    ChatText(file_with(""))
