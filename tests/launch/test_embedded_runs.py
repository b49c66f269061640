import json
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest

import dynasor
from dynasor.engines.builtin import policy_gguf
from dynasor.engines.embedded_model import EmbeddedModel
from dynasor.engines.endpoint import Endpoint
from dynasor.errors import SettingsDiffer, UsageError
from dynasor.journal.journal import read_journal
from dynasor.journal.records import Landed, RunStarted
from dynasor.launch.options import RunOptions
from dynasor.launch.sources import live_source
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.request import Sampling
from dynasor.runtime.in_flight import Limits
from dynasor.wiring import make_algorithm

SHORT = Sampling(max_tokens=60, temperature=0.8)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [{"question": f"Ben has {n} apples. He buys 4 more. How many apples does Ben have now?"} for n in (3, 5)]
    Path("q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def settings(run: str) -> dict[str, object]:
    (started,) = (r for r in read_journal(Path(run) / "journal.jsonl") if isinstance(r, RunStarted))
    return {**started.circumstances, **started.settings}


@pytest.mark.slow
def test_a_run_with_the_model_that_is_shipped() -> None:
    tally = dynasor.run(problems="q.jsonl", model="builtin", cap=6, policy="even", sampling=SHORT, out="run")
    assert (tally.finished, tally.knob.mean) == (2, 6.0)
    landed = [r.completion for r in read_journal(Path("run/journal.jsonl")) if isinstance(r, Landed)]
    assert len(landed) == 12
    assert all(completion.tokens and completion.prompt_tokens for completion in landed)
    assert settings("run").items() >= {"context_tokens": 1024, "api": "auto", "threads": 1, "endpoint": None}.items()
    assert str(settings("run")["model"]).startswith(f"policy-f16.gguf ({policy_gguf().stat().st_size} bytes, ")


@pytest.mark.slow
def test_a_resume_with_another_model_is_refused_and_with_the_same_elsewhere_it_is_not() -> None:
    Path("other").mkdir()
    for file in ("policy.gguf", "other/policy.gguf"):
        copyfile(policy_gguf(), file)
    for file in ("policy.gguf", "other/policy.gguf"):
        dynasor.run(problems="q.jsonl", model=file, cap=5, sampling=SHORT, out="run")
    changed = bytearray(Path("policy.gguf").read_bytes())
    changed[-1] ^= 1
    Path("policy.gguf").write_bytes(changed)
    with pytest.raises(SettingsDiffer, match=r"model was 'policy\.gguf \(.*\)' and is now 'policy\.gguf \("):
        dynasor.run(problems="q.jsonl", model="policy.gguf", cap=5, sampling=SHORT, out="run")


@pytest.mark.parametrize(("concurrency", "asked", "slots"), [(64, None, 8), (3, None, 3), (3, 5, 5)])
async def test_slots_follow_concurrency_up_to_a_limit(concurrency: int, asked: int | None, slots: int) -> None:
    model = EmbeddedModel(policy_gguf(), slots=asked)
    options = RunOptions(problems="q.jsonl", model=model, concurrency=concurrency)
    source = live_source(options, SelfConsistency)
    assert vars(source.engine)["_model"].slot_count == slots
    assert source.limits.requests == concurrency


def test_more_tokens_than_the_context_holds_are_refused() -> None:
    model = EmbeddedModel(policy_gguf(), context_tokens=300)
    with pytest.raises(UsageError) as refused:
        dynasor.run(problems="q.jsonl", model=model, sampling=Sampling(max_tokens=513))
    assert str(refused.value) == (
        "max_tokens is 513, and the context of policy-f16.gguf is 512 tokens, the prompt included;"
        " lower --max-tokens or raise --context"
    )


def test_a_trace_takes_no_model() -> None:
    with pytest.raises(UsageError, match="a trace brings its problems and its answers"):
        dynasor.run(trace="svamp", model="builtin")


def test_chains_leave_room_for_their_probes() -> None:
    options: dict[str, Any] = {"problems": "words", "model": "builtin", "sampling": dynasor.Sampling(max_tokens=64)}
    source = live_source(RunOptions(**options, algorithm="probed-cot", concurrency=64), make_algorithm("probed-cot"))
    assert source.limits == Limits(requests=64, programs=4), "of the eight slots"
    joined = make_algorithm("probed-sc")
    assert live_source(RunOptions(**options), joined).limits == Limits(requests=64, programs=1), "it gets ten slots"
    with pytest.raises(UsageError, match="5 streams of a program and what runs beside them need 10 places"):
        live_source(RunOptions(**options, concurrency=9), joined)
    served = RunOptions(**{**options, "model": None}, endpoint=Endpoint("http://127.0.0.1:9/v1"))
    assert live_source(served, joined).limits == Limits(requests=64, programs=6)
