import asyncio
import re
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from math import log
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from dynasor.engines import embedded
from dynasor.engines.embedded import EmbeddedEngine
from dynasor.engines.embedded_model import EmbeddedModel
from dynasor.errors import MissingExtra, UsageError
from dynasor.request import Completion, Finish, Message, ProgramId, Prompt, RequestId, continued
from support.engine_contract import collect, collect_reports
from support.gguf_models import LLAMA, LastTokenModel, write_gguf
from support.live_engine import request, until

QUESTION = "Ben has 3 apples. He buys 4 more. How many apples does Ben have now?"
PROMPT = f"Question: {QUESTION}\nSolution:\n"
ENDLESS = {"ignore_eos": True}
GREEDY: Any = {"temperature": 0.0}

UNCLOSED = f"""
import asyncio, sys
from dynasor.engines.embedded import EmbeddedEngine
from dynasor.engines.embedded_model import EmbeddedModel
from dynasor.request import ProgramId, Request, RequestId, Sampling

async def leave(engine):
    await engine.check()
    for index in range(int(sys.argv[1])):
        id, sampling = RequestId(ProgramId("p"), index), Sampling(max_tokens=900)
        engine.submit(Request(id, {PROMPT!r}, sampling, report_every=1))

engine = EmbeddedEngine(EmbeddedModel("builtin", extra_body={ENDLESS}))
asyncio.run(leave(engine))
print("done")
"""

Start = Callable[..., Any]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Make and load engines, with the settings given; they are closed in the end."""
    engines: list[EmbeddedEngine] = []

    async def make(file: str | Path = "builtin", **settings: Any) -> EmbeddedEngine:
        engines.append(EmbeddedEngine(EmbeddedModel(Path(file), **{"slots": 2, **settings})))
        await engines[-1].check()
        return engines[-1]

    yield make
    for engine in engines:
        await engine.close()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return LastTokenModel().write(tmp_path_factory.mktemp("models") / "tiny.gguf")


async def ask(engine: EmbeddedEngine, prompt: Prompt = PROMPT, **settings: Any) -> Completion:
    engine.submit(request(prompt, **settings))
    (completion,) = await collect(engine, 1)
    return completion


def id_of(index: int) -> RequestId:
    return RequestId(ProgramId("p"), index)


class TestAnswers:
    async def test_text_tokens_and_log_probabilities(self, start: Start, tiny: Path) -> None:
        """A model of nine tokens, all as likely, of which each is a letter."""
        completion = await ask(
            await start(tiny, extra_body=ENDLESS), "abc", temperature=1.0, max_tokens=20, logprobs=True
        )
        assert (completion.finish, completion.tokens, completion.prompt_tokens) == (Finish.LENGTH, 20, 3)
        assert len(completion.text) >= 15, "a letter for each token, and nothing for the end"
        assert completion.mean_logprob == pytest.approx(-log(9))
        assert completion.tail_logprob == completion.lowest_logprob == completion.mean_logprob

    async def test_no_log_probabilities_unless_asked_for(self, start: Start, tiny: Path) -> None:
        assert (await ask(await start(tiny), "abc", max_tokens=5)).mean_logprob is None

    async def test_a_conversation_goes_through_the_template_of_the_model(self, start: Start) -> None:
        engine, turns = await start(), (Message("user", QUESTION),)
        text, conversation = [await ask(engine, prompt, **GREEDY, logprobs=True) for prompt in (PROMPT, turns)]
        assert (text.finish, text.error) == (Finish.STOP, None)
        assert re.search(r"\nThe answer is \d+$", text.text)
        assert text.mean_logprob is not None
        assert conversation.mean_logprob == pytest.approx(
            text.mean_logprob, abs=0.01
        )  # a cached prompt is rounded to 16 bits
        unsure = {"mean_logprob": None, "tail_logprob": None, "lowest_logprob": None}
        assert msgspec.structs.replace(conversation, **unsure) == msgspec.structs.replace(text, **unsure)

    async def test_text_goes_through_the_template_where_chat_is_asked_for(self, start: Start) -> None:
        plain, chat = await start(), await start(api="chat")
        assert (await ask(chat, QUESTION, **GREEDY)).text == (await ask(plain, PROMPT, **GREEDY)).text

    async def test_a_conversation_is_joined_where_no_template_is_wanted(self, start: Start, tiny: Path) -> None:
        engine, turns = await start(api="completions"), (Message("system", "Question: 1"), Message("user", QUESTION))
        joined = await ask(engine, f"Question: 1\n\n{QUESTION}", **GREEDY, max_tokens=5)
        assert await ask(engine, turns, **GREEDY, max_tokens=5) == joined
        assert (await ask(await start(tiny), (Message("user", "abc"),), max_tokens=5)).prompt_tokens == 3

    async def test_the_same_seed_gives_the_same_text_to_a_request_that_runs_alone(self, start: Start) -> None:
        engine = await start(extra_body=ENDLESS)
        texts = [(await ask(engine, seed=seed, temperature=1.5, max_tokens=20)).text for seed in (1, 1, 2, -3)]
        assert texts[0] == texts[1]
        assert len(set(texts)) == 3

    async def test_a_small_top_p_leaves_the_likeliest_token_alone(self, start: Start) -> None:
        engine = await start()
        likeliest = await ask(engine, **GREEDY)
        for seed in range(5):
            assert (await ask(engine, seed=seed, temperature=2.0, top_p=1e-6)).text == likeliest.text

    async def test_nothing_but_the_sampling_narrows_the_choice(self, start: Start) -> None:
        """At so high a temperature all of a thousand tokens are about as likely; by itself llama.cpp takes 40."""
        engine = await start(extra_body=ENDLESS)
        completion = await ask(engine, temperature=1000.0, max_tokens=100, logprobs=True, seed=1)
        assert completion.mean_logprob is not None
        assert completion.mean_logprob < -10

    async def test_stop_strings_end_a_text_and_are_no_part_of_it(self, start: Start, tiny: Path) -> None:
        stopped = await ask(await start(tiny), "abc", temperature=1.0, stop=("zz", *LastTokenModel.letters))
        assert (stopped.finish, stopped.text, stopped.tokens) == (Finish.STOP, "", 1)
        engine = await start()
        whole = (await ask(engine, **GREEDY)).text
        stopped = await ask(engine, **GREEDY, stop=("zz", whole[6:12]))
        assert (stopped.finish, stopped.text) == (Finish.STOP, whole[:6])

    @pytest.mark.parametrize("prompt", [PROMPT, (Message("user", QUESTION),)])
    async def test_the_stop_string_that_ended_it(self, start: Start, prompt: Prompt) -> None:
        engine = await start()
        stopped = await ask(engine, prompt, **GREEDY, stop=("zz", "\n", "T"))
        assert (stopped.finish, stopped.stopped_at) == (Finish.STOP, "\n")
        ended = await ask(engine, prompt, **GREEDY, stop=("zz",))
        assert (ended.finish, ended.stopped_at) == (Finish.STOP, None)
        cut = await ask(engine, prompt, **GREEDY, stop=("\n",), max_tokens=2)
        assert (cut.finish, cut.stopped_at) == (Finish.LENGTH, None)


class TestGoingOn:
    @pytest.mark.parametrize("thinks", [False, True])
    async def test_a_chat_that_is_cut_and_gone_on_with_ends_as_if_it_were_not(self, start: Start, thinks: bool) -> None:
        engine = await start(extra_body={"chat_template_kwargs": {"enable_thinking": thinks}})
        asked = (Message("user", QUESTION),)
        whole = (await ask(engine, asked, **GREEDY)).text
        edges = [place for place, letter in enumerate(whole) if letter in " \n"]  # where tokens begin
        assert len(edges) > 4
        for edge in (*edges, whole.index("\n") + 1, len(whole)):
            rest = await ask(engine, continued(asked, whole[:edge]), **GREEDY)
            assert (rest.finish, rest.text) == (Finish.STOP, whole[edge:])

    async def test_a_chat_goes_on_from_any_text_as_text_does(self, start: Start) -> None:
        engine = await start()
        for begun in ("Be", " x", "  So \n", "The answer is 1"):
            chat, text = continued((Message("user", QUESTION),), begun), continued(PROMPT, begun)
            asked = [await ask(engine, prompt, **GREEDY, max_tokens=8) for prompt in (chat, text)]
            assert len({(completion.text, completion.prompt_tokens) for completion in asked}) == 1

    async def test_without_a_template_it_stands_directly_behind_what_it_answers(self, start: Start, tiny: Path) -> None:
        begun = continued((Message("user", "ab"),), "cab")
        assert (await ask(await start(tiny), begun, max_tokens=5)).prompt_tokens == 5


class TestReports:
    async def test_a_report_is_what_so_many_tokens_are(self, start: Start) -> None:
        engine = await start(slots=1)
        whole = await ask(engine, **GREEDY)
        parts = [(await ask(engine, **GREEDY, max_tokens=tokens)).text for tokens in (6, 12)]
        engine.submit(request(PROMPT, report_every=6, **GREEDY, logprobs=True))
        reports, (completion,) = await collect_reports(engine, 1)
        assert (completion.text, completion.tokens) == (whole.text, whole.tokens)
        assert [(report.text, report.tokens) for report in reports[:2]] == [(parts[0], 6), (parts[1], 12)]
        assert completion.lowest_logprob is not None
        assert all(report.lowest_logprob is not None for report in reports)

    async def test_who_waits_for_a_slot_has_nothing_to_report(self, start: Start) -> None:
        engine = await start(slots=1, extra_body=ENDLESS)
        engine.submit(request(PROMPT, index=0, max_tokens=900))
        engine.submit(request(PROMPT, index=1, report_every=1, max_tokens=3))
        engine.cancel(id_of(0))
        reports, _ = await collect_reports(engine, 2)
        assert [(report.id.index, report.tokens) for report in reports] == [(1, 1), (1, 2), (1, 3)]


class TestFaults:
    async def test_a_prompt_that_is_longer_than_the_context(self, start: Start, tiny: Path) -> None:
        failed = await ask(await start(tiny), "a" * 300)
        assert (failed.finish, failed.retryable, failed.tokens) == (Finish.FAILED, False, 0)
        assert failed.error == "the prompt has 300 tokens, and the context 256; raise --context"

    async def test_a_text_that_fills_the_context_before_max_tokens(self, start: Start, tiny: Path) -> None:
        failed = await ask(await start(tiny, extra_body=ENDLESS), "a" * 100, max_tokens=250)
        assert (failed.finish, failed.retryable, failed.tokens) == (Finish.FAILED, False, 156)
        assert failed.error == (
            "the prompt has 100 tokens and max_tokens is 250, and after 156 tokens the context of 256 was full;"
            " raise --context or lower --max-tokens"
        )

    @pytest.mark.parametrize("prompt", ["", "xyz"])
    async def test_symbols_that_the_model_does_not_know(self, start: Start, tiny: Path, prompt: str) -> None:
        failed = await ask(await start(tiny), prompt)
        assert (failed.finish, failed.retryable) == (Finish.FAILED, False)
        assert failed.error == "the prompt is empty, or holds no symbol that the model knows"

    async def test_what_is_no_text_is_refused_in_one_line(self, start: Start) -> None:
        failed = await ask(await start(), "a\ud800b")
        assert failed.finish is Finish.FAILED
        assert failed.error is not None
        assert failed.error.startswith("llama.cpp cannot read the request:")
        assert "\n" not in failed.error

    async def test_a_field_that_llama_cpp_refuses(self, start: Start) -> None:
        failed = await ask(await start(extra_body={"grammar": "root ::= ("}))
        assert (failed.finish, failed.retryable) == (Finish.FAILED, False)
        assert failed.error is not None
        assert failed.error.startswith("llama.cpp: ")

    async def test_a_bug_in_a_thread_is_a_completion(self, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*_: object, **__: object) -> None:
            raise ZeroDivisionError("so")

        engine = await start()
        monkeypatch.setattr(embedded, "encoded", broken)
        failed = await ask(engine)
        assert (failed.finish, failed.error) == (Finish.FAILED, "fault in the engine itself: ZeroDivisionError: so")


class TestQueue:
    async def test_who_waits_is_next_in_order(self, start: Start) -> None:
        engine = await start(slots=1)
        for index in (3, 1, 2, 0):
            engine.submit(request(PROMPT, index=index, max_tokens=2))
        ended = [completion.id.index for _ in range(4) for completion in await engine.ready()]
        assert ended == [3, 1, 2, 0]

    async def test_cutting_what_waits_is_immediate_and_costs_nothing(self, start: Start) -> None:
        engine = await start(slots=1, extra_body=ENDLESS)
        engine.submit(request(PROMPT, index=0, max_tokens=900))
        engine.submit(request(PROMPT, index=1))
        engine.cancel(id_of(1))
        assert await asyncio.wait_for(engine.ready(), 0.1) == [Completion(id=id_of(1), finish=Finish.CANCELLED)]

    async def test_what_is_cut_while_it_runs_keeps_its_text_and_its_cost(self, start: Start) -> None:
        engine = await start(slots=1, extra_body=ENDLESS)
        whole = await ask(engine, **GREEDY, max_tokens=5)
        engine.submit(request(PROMPT, index=0, max_tokens=900, **GREEDY, logprobs=True))
        engine.submit(request(PROMPT, index=1, max_tokens=1))
        await until(lambda: engine._running[id_of(0)].answer.tokens >= 5)
        engine.cancel(id_of(0))
        cut, after = await collect(engine, 2)
        assert (cut.finish, cut.error, cut.prompt_tokens) == (Finish.CANCELLED, None, whole.prompt_tokens)
        assert cut.text.startswith(whole.text)
        assert cut.tokens is not None
        assert 5 <= cut.tokens < 900
        assert cut.mean_logprob is not None
        assert (after.finish, after.tokens) == (Finish.LENGTH, 1)

    async def test_two_running_requests_cannot_share_an_id(self, start: Start) -> None:
        engine = await start(slots=1)
        for index in (0, 1):
            engine.submit(request(PROMPT, index=index))
        for index in (0, 1):
            with pytest.raises(UsageError, match=f"request {index} of program 'p' is running already"):
                engine.submit(request(PROMPT, index=index))
        assert len(await collect(engine, 2)) == 2

    async def test_a_request_before_check_or_after_close_fails(self, start: Start) -> None:
        unloaded = await ask(EmbeddedEngine(EmbeddedModel(Path("builtin"))))
        assert (unloaded.error, unloaded.retryable) == ("no model is loaded; await check() first", False)
        engine = await start()
        await engine.close()
        closed = await ask(engine)
        assert (closed.error, closed.retryable) == ("the engine is closed", True)


class TestLife:
    async def test_two_at_once_and_one_after_another(self, start: Start) -> None:
        before = threading.active_count()
        first, second = await start(), await start()
        for engine in (first, second):
            engine.submit(request(PROMPT, **GREEDY))
        texts = [(await collect(engine, 1))[0].text for engine in (first, second)]
        assert len(texts[0]) > 10
        await first.close()
        texts.append((await ask(second, **GREEDY)).text)
        await second.close()
        assert threading.active_count() == before
        texts.append((await ask(await start(), **GREEDY)).text)
        assert len(set(texts)) == 1

    async def test_closing_twice_does_nothing(self, start: Start) -> None:
        engine = await start()
        await engine.close()
        await engine.close()

    async def test_a_model_is_let_go_of_as_soon_as_it_is_loaded(self, start: Start, tiny: Path) -> None:
        """Freed before its loop had begun, llama.cpp would never end."""
        for _ in range(10):
            await asyncio.wait_for((await start(tiny)).close(), 5)

    @pytest.mark.slow
    @pytest.mark.parametrize("submitted", [0, 20])
    def test_a_process_that_ends_without_close_ends_quietly(self, submitted: int) -> None:
        ended = subprocess.run(
            [sys.executable, "-c", UNCLOSED, str(submitted)], capture_output=True, text=True, timeout=60, check=False
        )
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "done\n", "")


class TestLoading:
    async def test_the_library_is_missing(self, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "xllamacpp", None)
        with pytest.raises(
            MissingExtra, match=r"^a GGUF model needs an extra: pip install 'dynasor-serve\[embedded\]'"
        ):
            await start()
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("dynasor engine")]

    async def test_the_library_is_of_another_version(self, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "xllamacpp", SimpleNamespace(CommonParams=object))
        with pytest.raises(UsageError, match=r"^the installed xllamacpp is too old or too new \("):
            await start()

    async def test_the_reason_of_a_refusal_is_told_and_the_terminal_is_left_alone(
        self, start: Start, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        whole = LastTokenModel().write(tmp_path / "torn.gguf").read_bytes()
        (tmp_path / "torn.gguf").write_bytes(whole[:-500])
        with pytest.raises(
            UsageError, match=r"^llama\.cpp cannot load .*torn\.gguf: tensor '.*' data is not within the"
        ):
            await start(tmp_path / "torn.gguf")
        assert capfd.readouterr() == ("", "")

    async def test_a_kind_of_model_that_llama_cpp_does_not_know(self, start: Start, tmp_path: Path) -> None:
        file = write_gguf(tmp_path / "odd.gguf", {**LLAMA, "general.architecture": "lamma"})
        with pytest.raises(UsageError, match=r"odd\.gguf: unknown model architecture: 'lamma'$"):
            await start(file)

    async def test_a_template_is_asked_for_that_the_model_does_not_have(self, start: Start, tiny: Path) -> None:
        with pytest.raises(UsageError, match=r"^tiny\.gguf has no chat template; set api to 'completions' or 'auto'"):
            await start(tiny, api="chat")

    async def test_too_little_memory(self, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(embedded, "available_bytes", lambda: 1 << 20)
        with pytest.raises(UsageError, match=r"0\.0 GiB of memory is free; lower --context or --concurrency"):
            await start()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"api": "chatty"}, r"unknown api 'chatty' \(known: auto, chat, completions\)"),
        ({"slots": 0}, "slots is 0; it must be 1 or more"),
        ({"threads": -1}, "threads is -1; it must be 1 or more"),
        ({"context_tokens": 0}, "context_tokens is 0; it must be 1 or more"),
        ({"extra_body": {"stream": False}}, "extra_body may not set 'stream': the engine itself does"),
    ],
)
def test_what_cannot_be_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=f"^{message}"):
        EmbeddedModel(Path("m.gguf"), **settings)
