import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import CliRunner

from dynasor.answers.extract import EXTRACTORS
from dynasor.cli import main
from support.commands import finish, start
from support.faulty_server import FaultyServer


@pytest.fixture(scope="module")
def server() -> Iterator[FaultyServer]:
    with FaultyServer() as server:
        yield server


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ask(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["ask", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.slow
def test_a_question_is_answered_and_nothing_is_written(here: Path, server: FaultyServer) -> None:
    code, out, err = ask("What is 17 * 23?", "--endpoint", server.url, "--policy", "even", "--cap", 8)
    assert (code, err) == (0, ""), err
    assert out.count("came to its end") == 8
    assert "votes" in out
    assert "branches    8 of at most 8" in out
    assert "so The answer is" not in out
    assert not list(here.iterdir())


@pytest.mark.slow
def test_what_is_shown_can_be_more_and_less(here: Path, server: FaultyServer) -> None:
    code, out, _ = ask("q", "--endpoint", server.url, "--policy", "even", "--cap", 4, "--show", 2, "--verbose")
    assert (code, out.count("came to its end"), out.count("The answer is")) == (0, 2, 2)


@pytest.mark.slow
def test_json_tells_branches_and_votes(here: Path, server: FaultyServer) -> None:
    code, out, _ = ask("What is 2 + 3?", "--endpoint", server.url, "--cap", 12, "--json")
    told = json.loads(out)
    assert (code, told["question"], told["cap"]) == (0, "What is 2 + 3?", 12)
    assert sum(told["votes"].values()) == told["branches_drawn"] == len(told["branches"])
    assert max(told["votes"], key=told["votes"].get) == told["answer"]
    assert told["branches"][-1]["certaindex"] == told["certaindex"]
    assert told["tokens"] == sum(branch["tokens"] for branch in told["branches"])


@pytest.mark.slow
def test_a_run_that_is_kept_tells_its_branches_again(here: Path, server: FaultyServer) -> None:
    command = ("q", "--endpoint", server.url, "--cap", 6, "--out", "kept")
    first = ask(*command)
    asked = server.stats().requests
    assert ask(*command) == first
    assert server.stats().requests == asked
    assert (here / "kept" / "answers.jsonl").exists()


@pytest.mark.slow
def test_no_answer_is_an_exit_code(here: Path, server: FaultyServer) -> None:
    code, out, err = ask("[[fault: status=400]]", "--endpoint", server.url, "--cap", 6)
    assert (code, err) == (1, "dynasor: no answer: 400 told to fail\n")
    assert out.count("400 told to fail") == 6


@pytest.mark.slow
def test_texts_without_an_answer_are_an_exit_code_too(
    here: Path, server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dynasor.launch.launch.EXTRACTORS", {**EXTRACTORS, "auto": lambda text: None})
    code, out, _ = ask("q", "--endpoint", server.url, "--cap", 6)
    assert code == 1
    assert "answer      none" in out
    assert "no answer  " in out


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ((" ",), "the question is empty; write one, in quotes"),
        (("\udce9t\udce9?",), "the question is not UTF-8 text"),
        (("q", "--endpoint", "http://127.0.0.1:9"), "cannot reach http://127.0.0.1:9"),
        (("q", "--cap", 3, "--policy", "static:detect_at=5"), "raise the cap"),
        (("q", "--endpoint", "http://127.0.0.1:9", "--policy", "statik"), "did you mean 'static'?"),
        (("q", "--model", "gone.gguf"), "gone.gguf"),
        ((), "Missing argument 'QUESTION'"),
    ],
)
def test_bad_input_is_one_line(here: Path, arguments: tuple[object, ...], fault: str) -> None:
    code, _, err = ask(*arguments)
    assert (code, fault in err) == (2, True), err
    assert not list(here.iterdir())


def test_help_is_there_with_examples() -> None:
    code, out, _ = ask("--help")
    assert code == 0
    assert "dynasor ask" in out


@pytest.mark.slow
@pytest.mark.skipif(find_spec("xllamacpp") is None, reason="needs the extra: embedded")
def test_the_built_in_model_answers_and_says_what_it_is_for(tmp_path: Path) -> None:
    question = "Ben has 12 apples. He buys 7 more. How many apples does Ben have now?"
    code, out, err = finish(start("ask", question, cwd=tmp_path))
    assert code == 0, err
    assert "certaindex" in out
    assert err.count("knows only word problems") == 1
    assert not list(tmp_path.iterdir())
