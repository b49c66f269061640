"""The study of signals from a file to its rows, its page and its plots, and what embeds prompts."""

import json
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner

from dynasor.bench.signals_embedding import HiddenStates, called, embedded, embedding_model
from dynasor.bench.signals_plots import write_plots
from dynasor.bench.signals_rules import RuleRow
from dynasor.bench.signals_study import SignalsPlan, WorkloadStudy, run_signals
from dynasor.bench.signals_tables import overview, read_rows
from dynasor.cli import main
from dynasor.engines.embedding_builtin import BuiltinEmbeddings
from dynasor.engines.embedding_http import HttpEmbeddings
from dynasor.errors import EngineError, UsageError
from dynasor.metrics.intervals import Estimate

PLOTS = {"zones", "certaindex", "detection", "correlation", "tokens"}


def trace(path: Path, count: int = 80, samples: int = 12) -> Path:
    random = Random("trace")
    lines = []
    for number in range(count):
        skill = random.betavariate(1.5, 0.9)
        answers = ["1" if random.random() < skill else random.choice("234") for _ in range(samples)]
        drawn = [{"answer": a, "tokens": random.randint(5, 50), "correct": a == "1"} for a in answers]
        lines.append(json.dumps({"id": f"q{number}", "question": f"What is {number}?", "gold": "1", "samples": drawn}))
    path.write_text("\n".join(lines))
    return path


def rule(signal: str, saved: float, against: float | None) -> RuleRow:
    def near(value: float) -> Estimate:
        return Estimate(value, value - 0.1, value + 0.1)

    return RuleRow(
        signal, 0.5, near(10), near(saved), near(0.9), near(-0.2), None if against is None else near(against)
    )


def test_an_overview_counts_only_what_an_interval_tells() -> None:
    studies = [
        WorkloadStudy(
            name="a", rules=(rule("oracle", 0.9, 0.5), rule("entropy", 0.4, None), rule("length", 0.1, -0.3))
        ),
        WorkloadStudy(name="b", rules=(rule("entropy", 0.6, None), rule("length", 0.55, -0.05))),
    ]
    entropy, length, oracle = overview(studies)
    assert (entropy.signal, entropy.workloads, entropy.saved) == ("entropy", 2, 0.5)
    assert (length.saves_more, length.saves_less, length.loses) == (0, 1, 2)
    assert overview(studies, tolerance=0.15)[1].loses == 0, "the interval does not leave 15 points out"
    assert (oracle.signal, oracle.workloads, oracle.saves_more) == ("oracle", 1, 1)


def test_a_source_that_cannot_be_studied_is_named_with_its_reason(tmp_path: Path) -> None:
    plan = SignalsPlan((trace(tmp_path / "short.jsonl", samples=5),), embeddings=(), orders=1, draws=2)
    (study,) = run_signals(plan)
    assert study.left_out.startswith("most problems have 5 samples at most")


def test_there_is_nothing_to_redraw_without_rows(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="leave --redraw out"):
        read_rows(tmp_path)
    (tmp_path / "rows.jsonl").write_text('{}\n{"workload": "w", "kind": "workload"}\n')
    with pytest.raises(UsageError, match="not of this version"):
        read_rows(tmp_path)


@pytest.mark.slow
def test_plots_of_nothing_are_drawn(tmp_path: Path) -> None:
    names = write_plots([WorkloadStudy(name="none", left_out="nothing")], tmp_path)
    assert {name.removeprefix("signals-").removesuffix(".png") for name in names} == PLOTS
    assert all((tmp_path / name).stat().st_size for name in names)


@pytest.mark.slow
def test_one_command_leaves_rows_page_and_plots(tmp_path: Path) -> None:
    source, out = trace(tmp_path / "words.jsonl"), tmp_path / "out"
    short = trace(tmp_path / "short.jsonl", samples=4)
    result = CliRunner().invoke(
        main, ["bench", "signals", str(source), str(short), "--quick", "--no-prompts", "--out", str(out)]
    )
    assert result.exit_code == 0, result.output
    origin, *rows = [json.loads(line) for line in (out / "rows.jsonl").read_text().splitlines()]
    assert origin["command"].startswith("dynasor")
    kinds = {row["kind"] for row in rows if row["workload"] == "words"}
    assert kinds == {"workload", "zone", "detection", "correlation", "rule", "curve", "programs"}
    signals = [row["signal"] for row in rows if row["kind"] == "rule"]
    assert signals == [
        "no signal: one cap", "entropy", "length", "entropy + length", "all signals, logistic", "oracle",
    ]  # fmt: skip
    page = (out / "signals.md").read_text()
    assert "- short: most problems have 4 samples at most" in page
    assert all(f"(signals-{plot}.png)" in page and (out / f"signals-{plot}.png").exists() for plot in PLOTS)
    assert page.count("| words | ") == 3 + 1 + 2 + 4 + 6, "zones, certaindex, detection steps, signals, rules"
    assert max(map(len, result.output.splitlines()[:-1])) <= 80, "all but the names of files"
    (out / "signals.md").unlink()
    again = CliRunner().invoke(main, ["bench", "signals", str(source), "--quick", "--redraw", "--out", str(out)])
    assert again.exit_code == 0, again.output
    assert (out / "signals.md").read_text().splitlines()[20:] == page.splitlines()[20:]


@pytest.mark.slow
def test_predictors_of_the_prompt_are_named_after_what_embedded_it(tmp_path: Path) -> None:
    plan = SignalsPlan((trace(tmp_path / "words.jsonl"),), embeddings=("builtin", "policy"), orders=1, draws=2)
    (study,) = run_signals(plan)
    named = {row.signal for row in study.rules} | set(study.unfitted)
    assert {f"prompt (wordllama), {kind}" for kind in ("ridge", "logistic", "MLP")} <= named
    assert not any("policy" in name for name in named), "the built-in model did not answer these"


def test_a_name_stands_for_what_embeds() -> None:
    assert isinstance(embedding_model("builtin"), BuiltinEmbeddings)
    assert isinstance(embedding_model("policy"), HiddenStates)
    assert isinstance(embedding_model("some/model.gguf"), HiddenStates)
    assert isinstance(embedding_model("http://localhost:8000/v1"), HttpEmbeddings)
    assert [called(name) for name in ("builtin", "policy", "some/model.gguf")] == ["wordllama", "policy", "model"]
    with pytest.raises(UsageError, match="name builtin, policy"):
        embedding_model("bert")


def test_options_out_of_range_are_refused(tmp_path: Path) -> None:
    source = str(trace(tmp_path / "words.jsonl", count=1))
    for option, told in (("--orders=0", "--orders is 0"), ("--detect-at=1", "--detect-at is 1")):
        result = CliRunner().invoke(main, ["bench", "signals", source, option])
        assert told in result.output
        assert result.exit_code != 0


@pytest.mark.slow
def test_hidden_states_differ_by_question_and_long_ones_are_cut() -> None:
    long = "Ben has 3 apples. " * 500
    found = embedded("policy", ["1 + 1?", "Ben has 3 apples.", long, "1 + 1?"])
    assert set(found) == {"1 + 1?", "Ben has 3 apples.", long}
    widths = {len(vector) for vector in found.values()}
    assert widths == {128}
    assert list(found["1 + 1?"]) != list(found["Ben has 3 apples."])


def test_hidden_states_need_a_loaded_model() -> None:
    with pytest.raises(EngineError, match="check"):
        HiddenStates(Path("none.gguf")).embed_in_place("1 + 1?")
