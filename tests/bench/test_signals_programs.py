"""What the study of signals reads, how problems become cases and zones, and where it refuses."""

import json
import lzma
from pathlib import Path

import pytest

from dynasor.bench.signals_programs import common_cap, sample_readings, unit_of, watch
from dynasor.bench.signals_sources import Source, name_of, read_source, sources_in
from dynasor.bench.signals_zones import zone_of, zone_rows
from dynasor.datasets.problem import Problem, Recording
from dynasor.errors import UsageError
from dynasor.journal.records import Landed, RunStarted, Setting
from dynasor.request import Completion, ProgramId, RequestId, Sample
from support.journals import finished
from support.profiles import recording

EVEN: dict[str, Setting] = {"algorithm": "sc", "policy": "even", "in_flight": False, "cap": 3, "seed": 0}


def landed(program: str, index: int, lowest: float | None) -> Landed:
    id = RequestId(ProgramId(program), index)
    return Landed(answer="1", completion=Completion(id=id, tokens=5, mean_logprob=-0.1, lowest_logprob=lowest))


def journal(path: Path) -> Path:
    """A run of two programs; of one the second branch tells no lowest group."""
    import msgspec

    path.mkdir(parents=True)
    records = [
        RunStarted(settings=EVEN, circumstances={}),
        landed("p", 1, -0.3),
        landed("p", 0, -0.2),
        finished("p", knob=2),
        landed("q", 0, -0.2),
        landed("q", 1, None),
        finished("q", knob=2),
    ]
    (path / "journal.jsonl").write_bytes(b"".join(msgspec.json.encode(record) + b"\n" for record in records))
    return path


def test_a_run_tells_the_lowest_groups_in_the_order_of_its_branches(tmp_path: Path) -> None:
    source = read_source(journal(tmp_path / "embedded" / "branches"))
    assert source.name == "embedded/branches"
    assert source.lowest == {"p": [-0.2, -0.3]}, "q does not tell all of them"
    assert [each.problem.id for each in source.recordings] == ["p", "q"]


def test_a_packed_journal_reads_as_its_run(tmp_path: Path) -> None:
    run = journal(tmp_path / "embedded" / "branches")
    packed = tmp_path / "embedded" / "branches.jsonl.xz"
    packed.write_bytes(lzma.compress((run / "journal.jsonl").read_bytes()))
    assert read_source(packed) == read_source(run)
    packed.write_bytes(b"torn")
    with pytest.raises(UsageError, match="cannot unpack"):
        read_source(packed)


def test_a_folder_stands_for_its_traces_and_a_run_for_itself(tmp_path: Path) -> None:
    run = journal(tmp_path / "run")
    (tmp_path / "traces").mkdir()
    for name in ("b.jsonl", "a.jsonl.gz", "index.json"):
        (tmp_path / "traces" / name).touch()
    found = sources_in([tmp_path / "traces", run])
    assert [path.name for path in found] == ["a.jsonl.gz", "b.jsonl", "run"]
    with pytest.raises(UsageError, match="no such recording"):
        sources_in([tmp_path / "none.jsonl"])


def test_a_name_is_a_file_s_own_unless_it_says_nothing() -> None:
    assert name_of(Path("x/gpt-4__asdiv.jsonl.zst")) == "gpt-4__asdiv"
    assert name_of(Path("x/built-in-model/samples.jsonl.gz")) == "built-in-model/samples"


def test_readings_rise_with_certainty_and_need_every_sample() -> None:
    short, long = Sample("a", 10, mean_logprob=-0.5, reward=-2.0), Sample("a", 30, mean_logprob=-1.5, reward=-1.0)
    assert sample_readings([short, long]) == {
        "length": -20.0,
        "logprob": -1.0,
        "mean reward": -1.5,
        "best reward": -1.0,
    }
    assert sample_readings([short, Sample("a", 20)]) == {"length": -15.0}


def test_one_question_put_to_several_models_is_one_unit() -> None:
    assert unit_of(Problem("gpt/q1", "")) == unit_of(Problem("llama/q1", "")) == "q1"
    assert unit_of(Problem("gpt/q1", "1 + 1?")) == "1 + 1?"


def test_the_cap_is_what_half_of_the_problems_have() -> None:
    assert common_cap([recording("p", "a" * 8)] * 2 + [recording("q", "a" * 16)] * 2) == 16
    assert common_cap([recording("p", "a" * 8)] * 3 + [recording("q", "a" * 16)] * 2) == 8
    assert common_cap([recording("p", "a" * 100)]) == 40
    assert common_cap([]) == 0


def test_too_few_samples_and_too_few_problems_are_refused() -> None:
    with pytest.raises(UsageError, match="5 samples at most"):
        watch(Source("s", [recording(f"{n}", "aaaaa") for n in range(30)]), orders=1)
    with pytest.raises(UsageError, match="19 problems with 8 samples"):
        watch(Source("s", [recording(f"{n}", "a" * 8) for n in range(19)]), orders=1)


def test_a_signal_is_studied_only_where_all_programs_have_it() -> None:
    whole = [
        Recording(Problem(f"p{n}", f"q{n}", verdicts={"a": 1.0}), (Sample("a", 9, mean_logprob=-0.1),) * 8)
        for n in range(20)
    ]
    assert watch(Source("s", whole), orders=2).signals == ("entropy", "length", "logprob")
    lacking = [*whole[1:], recording("p0", "a" * 8)]
    assert watch(Source("s", lacking), orders=2).signals == ("entropy", "length")


@pytest.mark.slow
def test_zones_follow_the_vote() -> None:
    answers = {"easy": "aaaaaaaaaaa", "scaling": "aaaaaabbbbb", "impossible": "bbbbbbbbbba"}
    recordings = [recording(f"{zone}{n}", text) for zone, text in answers.items() for n in range(8)]
    workload = watch(Source("s", recordings), orders=20)
    zones = [zone_of(case, workload.detect_at) for case in workload.cases]
    assert zones[:8] == ["easy"] * 8
    assert zones[8:16] == ["scaling"] * 8
    assert zones[16:] == ["impossible"] * 8
    easy, scaling, impossible = zone_rows(workload)
    assert (easy.problems, easy.needed, easy.certaindex) == (8, 1.0, 1.0)
    assert scaling.needed > 1.5
    assert impossible.needed != impossible.needed, "no program of it is right at the cap"
    assert easy.tokens + scaling.tokens + impossible.tokens == pytest.approx(1.0)
    assert impossible.share.value == pytest.approx(1 / 3)


def test_a_trace_is_read_whole(tmp_path: Path) -> None:
    line = {"id": "q", "gold": "a", "samples": [{"answer": "a", "tokens": 3, "correct": True}]}
    (tmp_path / "t.jsonl").write_text(json.dumps(line))
    source = read_source(tmp_path / "t.jsonl")
    assert (source.name, source.lowest, len(source.recordings)) == ("t", {}, 1)
