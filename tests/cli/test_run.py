import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from dynasor import __version__
from dynasor.cli import main

ROOT = Path(__file__).parents[2]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "q.jsonl").write_text('{"question": "1 + 1?", "answer": "2"}\n')
    (tmp_path / "torn.jsonl").write_text('{"question": "1 + 1?", "answer": "2"}\n{"question": \n')
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "bare.py").write_text("class Bare: ...\n")
    (tmp_path / "wrong.py").write_text("import nothing_of_that_name\n")
    (tmp_path / "prompt.txt").write_text("no field here")
    (tmp_path / "attribute.txt").write_text("{question.text}")
    return tmp_path


def dynasor(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


NOBODY = "http://127.0.0.1:9"  # the discard port: nothing listens
SVAMP = ("run", "--trace", "svamp")
LIVE = ("run", "q.jsonl", "--endpoint", NOBODY)
BEST = ("--algorithm", "best-of-n")

BAD_INPUT = [
    (("run",), "nothing to run: give a file of problems and an endpoint, or a trace (try --trace svamp)"),
    (("run", "missing.jsonl", "--endpoint", NOBODY), "no such file: missing.jsonl"),
    (("run", "q.jsonl"), "problems need somebody to answer them: give --endpoint"),
    (("run", "torn.jsonl", "--endpoint", NOBODY), "torn.jsonl, line 2:"),
    (("run", "empty.jsonl", "--endpoint", NOBODY), "empty.jsonl holds no problems"),
    (("run", "q.jsonl", "--endpoint", NOBODY, "--question-column", "txt"), "unknown column 'txt' (known: answer,"),
    (("run", "q.jsonl", "--endpoint", NOBODY, "--format", "gsmk8"), "did you mean 'gsm8k'?"),
    (("run", "q.jsonl", "--endpoint", NOBODY), "cannot reach http://127.0.0.1:9"),
    (("run", "q.jsonl", "--endpoint", "localhost:8000"), "localhost:8000"),
    (("run", "q.jsonl", "--endpoint", NOBODY, "--concurrency", 0), "the concurrency is 0; it must be at least 1"),
    (("run", "q.jsonl", "--endpoint", NOBODY, "--prompt-file", "prompt.txt"), "the prompt template has no {question}"),
    (("run", "q.jsonl", "--endpoint", NOBODY, "--prompt-file", "gone.txt"), "cannot read the prompt file gone.txt"),
    ((*SVAMP, "--endpoint", NOBODY), "give either --trace, or problems and --endpoint"),
    (("run", "--trace", "gone.jsonl"), "no such file: gone.jsonl"),
    ((*SVAMP, "--policy", "statik"), "unknown policy 'statik'; did you mean 'static'? (known: beta, curve, decided,"),
    ((*SVAMP, "--policy", "static:treshold=0.7"), "unknown option of policy static 'treshold'; did you mean"),
    ((*SVAMP, "--policy", "static:threshold=high"), "threshold in 'static:threshold=high' must be a number, not"),
    ((*SVAMP, "--policy", "static:detect_at=2.5"), "detect_at in 'static:detect_at=2.5' must be a whole number"),
    ((*SVAMP, "--policy", "static:threshold"), "'threshold' in 'static:threshold' is not an option"),
    ((*SVAMP, "--policy", "static:step=1,step=2"), "'step' is given twice"),
    ((*SVAMP, "--policy", "static:threshold=7"), "threshold is 7.0; it must be between 0.0 and 1.0"),
    ((*SVAMP, "--policy", "length"), "policy length needs tokens: length:tokens=..."),
    ((*SVAMP, "--cap", 3, "--policy", "static:detect_at=5"), "first judges at 5 branches, and the cap"),
    ((*SVAMP, "--cap", 0), "the cap is 0; it must be at least 1"),
    ((*SVAMP, "--cap", 31), "the cap is 31, and svamp has 30 samples for problem"),
    ((*SVAMP, "--offset", 999), "svamp has no problems after the first 999"),
    ((*SVAMP, "--algorithm", "rebas"), "unknown algorithm 'rebas'; did you mean 'rebase'? (known: best-of-n,"),
    (("run", "q.jsonl", "--endpoint", NOBODY, "--extract", "boxd"), "unknown extractor 'boxd'; did you mean 'boxed'?"),
    ((*SVAMP, "--algorithm", "sc:n=4"), "algorithm sc has no settings; write sc"),
    ((*SVAMP, "--algorithm", "rebase:heat=1"), "unknown option of algorithm rebase 'heat'"),
    ((*SVAMP, "--algorithm", "rebase:rule=floor"), "rule is 'floor'; it must be one of paper, ceil"),
    ((*SVAMP, "--algorithm", "mcts"), "mcts asks more than one question of a problem, and a recording of samples"),
    ((*SVAMP, "--algorithm", "weighted-sc", "--scorer", "tail"), "scorer tail needs a tail with every sample"),
    ((*SVAMP, "--reward", "http://127.0.0.1:9"), "a recording's rewards are its own; leave out --reward"),
    ((*SVAMP, "--similarity", 0), "the similarity is 0.0; it must be above 0 and at most 1"),
    ((*LIVE, "--reward", "oracle"), "'oracle' is no reward model; give builtin, FILE.gguf, or the address of a server"),
    ((*LIVE, "--algorithm", "probed-cot", "--no-stream"), "probed-cot looks at requests while they run"),
    ((*LIVE, "--algorithm", "probed-cot:effort=none"), "effort is 'none'; it must be one of mild, low"),
    ((*LIVE, "--signal", "reward-mean"), "signal reward-mean needs a reward model; add --reward"),
    ((*SVAMP, "--signal", "entropie"), "unknown signal 'entropie'; did you mean 'entropy'?"),
    ((*SVAMP, "--scorer", "judge"), "unknown scorer 'judge'"),
    ((*SVAMP, "--program", "gone.py:Mine"), "no such file: gone.py; --program takes FILE.py:CLASS"),
    ((*SVAMP, "--program", "bare.py:Mine"), "unknown class in bare.py 'Mine' (known: no program)"),
    ((*SVAMP, "--program", "bare.py:Bare"), "bare.py:Bare is not a Program; subclass dynasor.Program"),
    ((*SVAMP, "--program", "wrong.py:Any"), "cannot load wrong.py: No module named 'nothing_of_that_name'"),
    ((*SVAMP, "--program", "no.such.module:Any"), "cannot import no.such.module"),
    ((*SVAMP, "--program", "dynasor:Program"), "dynasor:Program does not implement execute()"),
    ((*SVAMP, "--program", ":Any"), "'' is not the name of a module; --program takes FILE.py:CLASS or MODULE:CLASS"),
    ((*SVAMP, "--program", "..a:Any"), "'..a' is not the name of a module"),
    ((*SVAMP, "--policy", "static:threshold=nan"), "threshold is nan; it must be between 0.0 and 1.0"),
    ((*SVAMP, "--policy", "beta+"), "'beta+' lacks the name of a policy; write one, or several with + between them"),
    ((*SVAMP, "--policy", ""), "'' lacks the name of a policy"),
    ((*SVAMP, "--signal", "logprob"), "signal logprob needs a logprob with every sample, and svamp lacks it for"),
    ((*SVAMP, *BEST), "scorer reward needs a reward with every sample, and svamp lacks it for problem"),
    ((*SVAMP, *BEST, "--policy", "even+decided"), "decided proves a majority vote, and best-of-n does not answer by"),
    ((*LIVE, "--signal", "logprob"), "signal logprob reads log-probabilities, which are not asked for; add --logprobs"),
    ((*LIVE, *BEST), "scorer reward needs a reward model; add --reward (such as --reward builtin), or"),
    ((*LIVE, *BEST, "--scorer", "logprob"), "scorer logprob reads log-probabilities, which are not asked for; add"),
    ((*LIVE, "--prompt-file", "attribute.txt"), "a field that is not {question} ({question.text})"),
    ((*LIVE, "--temperature", "nan"), "the temperature is nan; it must be a number of at least 0"),
    ((*LIVE, "--temperature", "-1"), "the temperature is -1.0; it must be a number of at least 0"),
    ((*LIVE, "--top-p", "0"), "top_p is 0.0; it must be above 0 and at most 1"),
    ((*LIVE, "--max-tokens", "0"), "the max_tokens is 0; it must be at least 1"),
    ((*LIVE, "--context", 9), "--context has no effect on a server; leave it out"),
    ((*LIVE, "--threads", 9), "--threads has no effect on a server; leave it out"),
    ((*SVAMP, "--model", "builtin"), "--model has no effect on a recording; leave it out"),
    (("run", "q.jsonl", "--model", "gone.gguf"), "no such file: gone.gguf; --model takes a GGUF file, or builtin"),
    (("run", "q.jsonl", "--model", "q.jsonl"), "q.jsonl is not a GGUF file; convert the model with llama.cpp's"),
    (("run", "q.jsonl", "--model", "builtin", "--context", 4096), "the context is 4096 tokens, and policy-f16.gguf"),
    (("run", "q.jsonl", "--model", "builtin", "--max-tokens", 2000), "max_tokens is 2000, and the context of policy-"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), BAD_INPUT, ids=[message[:40] for _, message in BAD_INPUT])
def test_bad_input_is_one_line_with_the_mend(here: Path, arguments: tuple[object, ...], message: str) -> None:
    before = sorted(here.iterdir())
    code, out, err = dynasor(*arguments)
    assert code == 2
    assert message in err
    assert err.startswith("dynasor: ")
    assert err.count("\n") == 1
    assert out == ""
    assert sorted(here.iterdir()) == before, "nothing is half-written"


def test_a_run_over_the_shipped_recording(here: Path) -> None:
    code, out, err = dynasor(*SVAMP, "--limit", 50, "--cap", 10, "--policy", "even", "--json", "--out", "even")
    assert (code, err) == (0, "")
    summary = json.loads(out)
    assert summary == json.loads((here / "even" / "summary.json").read_text())
    assert (summary["problems"], summary["branches_per_problem"]["value"]) == (50, 10.0)
    assert summary["tokens_saved"]["value"] == 0.0
    code, out, _ = dynasor(*SVAMP, "--limit", 50, "--cap", 10, "--json", "--out", "certain")
    saved = json.loads(out)["tokens_saved"]
    assert 0.2 < saved["low"] < saved["value"] < saved["high"] < 0.8
    assert json.loads(out)["even_tokens"] == summary["tokens"]
    lines = (here / "certain" / "answers.jsonl").read_text().splitlines()
    assert len(lines) == 50
    assert json.loads(lines[0]).keys() >= {"id", "answer", "correct", "certaindex", "tokens", "stopped_by"}


def test_a_run_is_named_after_its_settings_and_goes_on_when_asked_again(here: Path) -> None:
    assert dynasor(*SVAMP, "--limit", 5, "--cap", 6, "--in-flight")[0] == 0
    (directory,) = (here / "runs").iterdir()
    assert directory.name == "svamp-decided+static_threshold=0.7_detect_at=5-in-flight-cap6-seed0"
    code, out, _ = dynasor(*SVAMP, "--limit", 8, "--cap", 6, "--in-flight", "--json")
    assert code == 0
    assert json.loads(out)["problems"] == 8


def test_other_settings_are_refused_by_name(here: Path) -> None:
    dynasor(*SVAMP, "--limit", 5, "--out", "run")
    code, _, err = dynasor(*SVAMP, "--limit", 5, "--out", "run", "--seed", 1, "--cap", 10)
    assert code == 2
    assert "cap was 20 and is now 10; seed was 0 and is now 1. Resume with the old, or choose another --out" in err


def test_a_run_can_itself_be_replayed(here: Path) -> None:
    dynasor(*SVAMP, "--limit", 40, "--cap", 10, "--policy", "even", "--out", "even")
    code, _, _ = dynasor("run", "--trace", "even", "--cap", 10, "--policy", "decided", "--json", "--out", "decided")
    assert code == 0
    even, decided = (json.loads((here / name / "summary.json").read_text()) for name in ("even", "decided"))
    assert decided["accuracy"] == even["accuracy"]
    assert decided["even_tokens"] == even["tokens"] > decided["tokens"]
    code, _, err = dynasor("run", "--trace", "decided", "--cap", 10, "--out", "again")
    assert (code, "record with --policy even" in err) == (2, True)


def test_the_prompt_template_may_be_a_file(here: Path) -> None:
    (here / "prompt.txt").write_text("Question: {question}")
    code, _, err = dynasor("run", "q.jsonl", "--endpoint", NOBODY, "--prompt-file", "prompt.txt")
    assert (code, err.startswith("dynasor: cannot reach")) == (2, True), "the template itself was taken"


def test_the_default_policy_is_that_of_the_algorithm(here: Path) -> None:
    assert dynasor(*SVAMP, "--limit", 5, "--algorithm", "best-of-n", "--scorer", "brevity")[0] == 0
    (directory,) = (here / "runs").iterdir()
    assert directory.name == "svamp-static_threshold=0.7_detect_at=5-best-of-n-cap20-seed0"


def test_a_run_that_goes_on_says_so(here: Path) -> None:
    dynasor(*SVAMP, "--limit", 5, "--out", "[bold]run")
    for limit, told in ((8, "5 of 8"), (8, "8 of 8")):
        code, _, err = dynasor(*SVAMP, "--limit", limit, "--out", "[bold]run")
        assert (code, err) == (0, f"dynasor: resuming [bold]run: {told} problems are done\n")


def test_other_problems_are_other_settings(here: Path) -> None:
    dynasor(*SVAMP, "--limit", 5, "--out", "run")
    code, _, err = dynasor(*SVAMP, "--limit", 5, "--out", "run", "--offset", 5)
    assert (code, "offset was 0 and is now 5" in err) == (2, True)


def test_help_is_there_with_examples() -> None:
    code, out, _ = dynasor("run", "--help")
    assert code == 0
    assert "dynasor run --trace svamp --cap 30" in out
    assert "static:threshold=0.7,detect_at=5" in out
    assert dynasor("--version")[1].strip() == f"dynasor, version {__version__}"
    assert "report" in dynasor("--help")[1]
    assert dynasor("frobnicate")[0] == 2


@pytest.mark.slow
def test_the_example_gives_its_expected_output(here: Path) -> None:
    program = ROOT / "examples" / "two_prompts.py"
    assert len(program.read_text().splitlines()) <= 60
    code, out, _ = dynasor(*SVAMP, "--program", f"{program}:TwoPrompts", "--cap", 20, "--limit", 200, "--json")
    assert code == 0
    assert out == (ROOT / "examples" / "two_prompts.expected.json").read_text()
