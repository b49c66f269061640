import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import dynasor
from dynasor.answers.symbolic import SymbolicChecker
from dynasor.engines.openai_http import OpenAIEngine
from dynasor.engines.recorded import RecordedEngine
from dynasor.errors import EngineError, ProgramError, SettingsDiffer, UsageError
from dynasor.launch.launch import prepare
from dynasor.launch.options import RunOptions
from dynasor.programs.best_of_n import BestOfN
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.request import Completion, Finish, Request
from dynasor.wiring import default_policy


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the engines that were closed."""
    names: list[str] = []

    def telling(kind: type[RecordedEngine] | type[OpenAIEngine]) -> Callable[[Any], Any]:
        close = kind.close

        async def tell(self: Any) -> None:
            names.append(kind.__name__)
            await close(self)

        return tell

    for kind in (RecordedEngine, OpenAIEngine):
        monkeypatch.setattr(kind, "close", telling(kind))
    return names


def write_trace(**of_sample: float) -> str:
    sample = {"answer": "1", "tokens": 5, "correct": True, **of_sample}
    Path("trace.jsonl").write_text(json.dumps({"id": "q", "gold": "1", "samples": [sample] * 6}) + "\n")
    return "trace.jsonl"


class Weighted(SelfConsistency):
    """Executes in a way of its own, and does not say that it answers by majority."""

    def execute(self) -> dynasor.Execution:
        while knob := (yield self.claim()):
            yield self.gang(knob)
        return None


class Renamed(SelfConsistency):
    """As its base."""


def test_the_default_policy_stops_at_a_decided_vote_only_where_the_vote_decides() -> None:
    certain = "static:threshold=0.7,detect_at=5"
    assert default_policy(SelfConsistency, 20) == default_policy(Renamed, 20) == f"decided+{certain}"
    assert default_policy(BestOfN, 20) == default_policy(Weighted, 20) == certain


@pytest.mark.parametrize("algorithm", [BestOfN, Weighted])
async def test_decided_is_refused_where_it_would_change_answers(algorithm: type[dynasor.Program]) -> None:
    with pytest.raises(UsageError, match=rf"^decided proves a majority vote, and {algorithm.__name__} does not answer"):
        await prepare(RunOptions(trace="svamp", policy="even+decided", algorithm=algorithm, scorer="brevity"))


@pytest.mark.parametrize("options", [{"signal": "logprob"}, {"algorithm": "best-of-n", "scorer": "logprob"}])
async def test_log_probabilities_are_read_where_a_recording_has_them(options: dict[str, Any]) -> None:
    with pytest.raises(
        UsageError, match=r"logprob needs a logprob with every sample, and trace.jsonl lacks it for pro"
    ):
        await dynasor.arun(trace=write_trace(), policy="even", cap=6, **options)
    assert (await dynasor.arun(trace=write_trace(logprob=-0.1), policy="even", cap=6, **options)).finished == 1


async def test_rewards_are_read_where_a_recording_has_them() -> None:
    with pytest.raises(UsageError, match="scorer reward needs a reward with every sample"):
        await dynasor.arun(trace=write_trace(), algorithm=BestOfN, cap=6)
    assert (await dynasor.arun(trace=write_trace(reward=0.3), algorithm=BestOfN, cap=6)).finished == 1


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"policy": 5}, UsageError, "the policy is 5; give a specification, or a function from a Progress to a Grant"),
        ({"policy": lambda progress: None}, ProgramError, "returned None; a policy returns a Grant"),
        ({"algorithm": dynasor.Program}, UsageError, r"Program does not implement execute\(\)"),
        ({"algorithm": 3}, UsageError, "3 is not a Program; subclass dynasor.Program"),
    ],
)
async def test_what_is_handed_over_is_looked_at(given: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        await dynasor.arun(trace="svamp", **given)


def test_an_engine_that_cannot_work_is_closed(closed: list[str]) -> None:
    Path("q.jsonl").write_text('{"question": "1 + 1?"}\n')
    with pytest.raises(UsageError, match="cannot reach"):
        dynasor.run(problems="q.jsonl", endpoint="http://127.0.0.1:9")
    assert closed == ["OpenAIEngine"]


async def test_an_engine_is_closed_where_a_later_step_fails(closed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> str:
        raise UsageError("no name")

    monkeypatch.setattr("dynasor.launch.launch.directory_name", failing)
    with pytest.raises(UsageError, match="no name"):
        await prepare(RunOptions(trace="svamp"))
    assert closed == ["RecordedEngine"]


async def test_what_compares_answers_is_closed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []
    monkeypatch.setattr("dynasor.launch.comparing.find_spec", lambda name: True)
    monkeypatch.setattr(SymbolicChecker, "close", lambda self: closed.append(True))
    with pytest.raises(UsageError, match=r"no such file: gone\.jsonl"):
        await prepare(RunOptions(trace="gone.jsonl", grouping="symbolic"))
    assert closed == [True]
    launch = await prepare(RunOptions(trace=write_trace(), grouping="symbolic", cap=6))
    await launch.run()
    assert closed == [True, True]


def test_a_refused_run_leaves_what_is_there_alone_and_closes_its_engine(closed: list[str]) -> None:
    dynasor.run(trace=write_trace(), cap=6, out="run", policy="even")
    Path("run/summary.json").write_text("precious")
    with pytest.raises(SettingsDiffer, match="cap was 6 and is now 5"):
        dynasor.run(trace=write_trace(), cap=5, out="run", policy="even")
    assert Path("run/summary.json").read_text() == "precious"
    assert closed == ["RecordedEngine"] * 2


async def test_inside_a_loop_one_awaits() -> None:
    with pytest.raises(UsageError, match=r"there, write: await dynasor.arun\(\.\.\.\)"):
        dynasor.run(trace="svamp")
    assert (await dynasor.arun(trace="svamp", limit=3, cap=5)).finished == 3


def test_a_partial_run_is_an_error_once_what_there_is_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    submit = RecordedEngine.submit

    def failing(self: RecordedEngine, request: Request) -> None:
        if request.id.program in refused:
            self._ended.append(Completion(id=request.id, finish=Finish.FAILED, error="503 busy", retryable=True))
        else:
            submit(self, request)

    rows = [{"id": f"q{n}", "samples": [{"answer": "1", "tokens": 5, "correct": True}] * 6} for n in range(4)]
    Path("trace.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    refused = {"q1", "q3"}
    monkeypatch.setattr(RecordedEngine, "submit", failing)
    with pytest.raises(EngineError, match=r"^2 of 4 problems are unfinished \(503 busy\); the rest is in run, and the"):
        dynasor.run(trace="trace.jsonl", cap=6, out="run")
    assert len(Path("run/answers.jsonl").read_text().splitlines()) == 2
    refused = set()
    assert dynasor.run(trace="trace.jsonl", cap=6, out="run").finished == 4


def test_code_is_grouped_by_behaviour_only_where_it_may_be_run() -> None:
    with pytest.raises(UsageError, match="grouping by behaviour runs what the model wrote; say so with --judge-code"):
        dynasor.run(trace=write_trace(), grouping="behaviour", cap=6)
    tally = dynasor.run(trace=write_trace(), grouping="behaviour", judge_code=True, cap=6, out="by behaviour")
    assert tally.finished > 0
    assert dynasor.run(trace=write_trace(), grouping="value", cap=6, out="by value").finished > 0
