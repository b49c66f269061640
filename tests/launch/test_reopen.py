"""Programs of earlier runs, played again from their journals."""

import asyncio
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from dynasor.answers.grouping import ByEquality
from dynasor.config import describe
from dynasor.errors import MissingExtra, UsageError
from dynasor.journal.journal import JournalWriter, read_journal
from dynasor.journal.records import Grew, Landed, ProgramFinished, Record, RunStarted, Setting
from dynasor.launch import launch
from dynasor.launch.past import PastProgram, past_program, past_run
from dynasor.launch.remade import briefly, remade_algorithm
from dynasor.launch.reopen import Reopened, _spelled, reopened
from dynasor.programs.mcts import Mcts
from dynasor.programs.probed import Probed
from dynasor.programs.search import Search
from dynasor.request import Completion, Finish, ProgramId, RequestId
from dynasor.wiring import ALGORITHMS
from support.past_runs import branch, chain, past
from support.search_models import Model, SearchModel, tree_of

MODEL = SearchModel(seed=3, failing=9)
CERTAIN = "stepped:threshold=1.0,detect_at=2,step=1"
DEEPCONF = "deepconf:warmup=3,kept_percent=50.0,report_every=2,group_tokens=4,agreed_share=1.0"
PROGRAM = """
from dynasor.programs.self_consistency import SelfConsistency


class Mine(SelfConsistency):
    '''Mine.'''
"""


def opened(directory: Path, problem: str = "p") -> Reopened:
    return asyncio.run(reopened(past_program(directory, problem)))


def write(directory: Path, *records: Record) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    with JournalWriter(directory / "journal.jsonl") as journal:
        for record in records:
            journal.append(record)
    return directory


def settings(**changes: Setting) -> RunStarted:
    usual: dict[str, Setting] = {"algorithm": "sc", "policy": "even", "cap": 2}
    return RunStarted(settings=usual | changes, circumstances={})


def landed(index: int, answer: str | None, finish: Finish = Finish.STOP) -> Landed:
    text = f"The answer is {answer}." if answer else ""
    return Landed(
        answer=answer, completion=Completion(id=RequestId(ProgramId("p"), index), text=text, finish=finish, tokens=5)
    )


@pytest.mark.parametrize("in_flight", [False, True])
@pytest.mark.parametrize(
    ("algorithm", "model"),
    [
        ("rebase:temperature=0.5", MODEL),
        ("mcts:expand=2,parallel=2", MODEL),
        ("sc", branch),
        ("best-of-n", branch),
        ("weighted-sc", branch),
        (DEEPCONF, branch),
        ("probed-cot", chain),
        ("probed-sc:chains=3,effort=crazy", chain),
    ],
)
def test_every_algorithm_comes_to_what_its_journal_says(
    tmp_path: Path, algorithm: str, model: Model, in_flight: bool
) -> None:
    policy = CERTAIN if algorithm.startswith("probed") else "static:threshold=0.7,detect_at=3"
    run = past(tmp_path, algorithm, model, policy, cap=8, in_flight=in_flight)
    for problem in "pq":
        again = opened(run, problem)
        assert again.notes == []
        assert again.session is not None
        assert again.past.finished is not None
        assert again.session.program.certaindex == again.past.finished.certaindex
        assert again.session.program.knob == again.past.finished.knob


@pytest.mark.parametrize(
    ("algorithm", "model"),
    [("rebase", MODEL), ("mcts:expand=2", MODEL), ("sc", branch), (DEEPCONF, branch), ("probed-sc:chains=3", chain)],
)
def test_one_that_was_stopped_and_went_on_is_played_as_if_it_had_not(
    tmp_path: Path, algorithm: str, model: Model
) -> None:
    for turns in (1, 2, 3, 1000):
        run = past(tmp_path, algorithm, model, CERTAIN, cap=8, turns=turns)
        again = opened(run)
        assert (again.notes, again.session is None) == ([], False)
    assert again.past.finished is not None


def test_a_search_has_its_tree_again_and_an_unfinished_one_as_far_as_it_came(tmp_path: Path) -> None:
    whole = opened(past(tmp_path / "whole", "mcts:expand=2", MODEL, cap=5)).session
    assert whole is not None
    rows = tree_of(whole.program)
    assert len(rows) > 10
    part = opened(past(tmp_path / "part", "mcts:expand=2", MODEL, cap=5, turns=3))
    assert part.past.finished is None
    assert part.session is not None
    assert isinstance(part.session.program, Mcts)
    known = {row[1]: row[2] for row in rows}
    grown = part.session.program.tree.nodes
    assert 0 < len(grown) < len(rows)
    assert all(node.text == known[index] for index, node in grown.items() if index in known)


def test_certaindex_is_known_after_every_probe_and_where_the_chain_stood(tmp_path: Path) -> None:
    again = opened(past(tmp_path, "probed-cot", chain, CERTAIN, cap=12))
    assert again.session is not None
    assert isinstance(again.session.program, Probed)
    assert [again.session.readings[index] for index in (1, 2, 3, 4)] == [0.0, 0.0, 0.0, 1.0]
    assert {index: tokens[0] for index, tokens in again.session.grown.items()} == {1: 32, 2: 64, 3: 96, 4: 128}
    assert again.session.program.chain_of(RequestId(ProgramId("p"), 1)) is again.session.program.chains[0]
    assert again.session.program.chain_of(RequestId(ProgramId("p"), 0)) is None
    request = again.past.requests[0]
    assert (request.ended, request.tokens) == (Finish.CANCELLED, 160)
    assert request.text.startswith("Thinking it over."), "what it last reported, since a cut request brought no text"


def test_answers_are_judged_and_grouped(tmp_path: Path) -> None:
    again = opened(past(tmp_path, "sc", branch))
    assert {answer: told.correct for answer, told in again.answers.items()} == {"2": 1.0, "7": 0.0}
    run = write(tmp_path / "spelled", settings(), landed(0, "1/2"), landed(1, "0.5"))
    assert {answer: told.same for answer, told in opened(run).answers.items()} == {"1/2": "1/2", "0.5": "1/2"}
    assert opened(run).answers["0.5"].correct is None, "an unfinished problem's right answer is not in the journal"


def test_groups_that_turn_out_to_be_one_are_one() -> None:
    linked = ByEquality(lambda a, b: abs(len(a) - len(b)) < 2)
    assert _spelled(linked, ["aaa", "a", None, "aa"]) == {"aaa": "aaa", "a": "aaa", "aa": "aaa"}


@pytest.mark.parametrize("as_run", [False, True])
def test_a_replay_of_a_recording_compares_as_the_recording_did(tmp_path: Path, as_run: bool) -> None:
    """Of "1/2" and "0.5" a file of samples makes two answers, a run of ours makes one; both journals say `auto`."""
    sample = '{"answer": "%s", "tokens": 5, "correct": true}'
    trace = tmp_path / "trace.jsonl"
    trace.write_text('{"id": "p", "question": "q", "samples": [%s, %s]}\n' % (sample % "1/2", sample % "0.5"))  # noqa: UP031
    asked = {"policy": "even", "cap": 2}
    if as_run:
        launch.run(trace=trace, out=tmp_path / "even", **asked)
    launch.run(trace=tmp_path / "even" if as_run else trace, out=tmp_path / "run", **asked)
    again = opened(tmp_path / "run")
    assert again.notes == []
    assert {told.same for told in again.answers.values()} == ({"1/2"} if as_run else {"1/2", "0.5"})


def test_the_later_end_of_a_request_that_was_made_again_counts(tmp_path: Path) -> None:
    failed = landed(0, None, Finish.FAILED)
    run = write(tmp_path, settings(), failed, landed(1, "7"), landed(0, "2"))
    program = past_program(run, "p")
    assert [event.id.index for event in program.happened] == [1, 0]
    assert [request.answer for request in program.requests.values()] == ["7", "2"]


def test_growth_is_put_together(tmp_path: Path) -> None:
    id = RequestId(ProgramId("p"), 0)
    run = write(tmp_path, settings(), Grew(id=id, at=0, added="ab", tokens=1), Grew(id=id, at=2, added="c", tokens=2))
    (request,) = past_program(run, "p").requests.values()
    assert (request.text, request.tokens, request.ended, request.answer) == ("abc", 2, None, None)
    assert past_run(run).unfinished == {"p": 0}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"algorithm": None}, "do not say how the run was made"),
        ({"policy": "my.module.patient (0123456789ab)"}, "was handed over in Python, or comes with a plug-in"),
        ({"algorithm": "my.module.Mine (0123456789ab)"}, "program my.module.Mine was handed over in Python"),
        ({"algorithm": "gone.py:Mine (0123456789ab)"}, "no such file: gone.py; go to where the run was started"),
        ({"algorithm": "missing"}, "unknown algorithm 'missing'"),
        ({"algorithm": "rebase:warmth=0.5"}, "has other settings in this version"),
        ({"algorithm": "rebase:rule=floor"}, "rule is 'floor'"),
        ({"extract": "telepathy"}, "unknown extractor 'telepathy'"),
        ({"scorer": "reward", "algorithm": "best-of-n"}, "needs rewards"),
        ({"grouping": "astrology"}, "unknown grouping 'astrology'"),
    ],
)
def test_what_cannot_be_played_is_left_as_it_was_written(
    tmp_path: Path, changes: dict[str, Setting], fault: str
) -> None:
    run = write(tmp_path, settings(**changes), landed(0, "2"), landed(1, "7"))
    again = opened(run)
    assert any(fault in note for note in again.notes), again.notes
    assert (again.session is None) == ("grouping" not in changes)
    assert list(again.answers) == ["2", "7"]
    assert len(again.past.requests) == 2


@pytest.mark.parametrize("trace", [None, "svamp"])
def test_another_end_than_the_journal_s_is_not_shown_as_its_own(tmp_path: Path, trace: str | None) -> None:
    run = past(tmp_path / "run", "sc", branch, trace=trace)
    records = [r if not isinstance(r, ProgramFinished) else _richer(r) for r in read_journal(run / "journal.jsonl")]
    again = opened(write(tmp_path / "other", *records))
    assert again.session is None
    assert again.notes == ["Played again, this program ends otherwise than its journal says: shown as it was written."]
    short = [r for r in read_journal(run / "journal.jsonl") if not isinstance(r, Landed)]
    assert opened(write(tmp_path / "short", *short)).session is None


def _richer(record: ProgramFinished) -> ProgramFinished:
    return ProgramFinished(**{name: getattr(record, name) for name in record.__struct_fields__} | {"knob": 3})


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(PROGRAM)
    yield past(tmp_path / "run", "mine.py:Mine", branch)
    sys.modules.pop("dynasor_program_mine", None)


def test_a_program_of_a_file_is_played_where_the_file_is_unchanged(mine: Path) -> None:
    again = opened(mine)
    assert again.session is not None
    assert type(again.session.program).__name__ == "Mine"
    Path("mine.py").write_text(PROGRAM + "\nraise AssertionError('it is run')\n")
    changed = opened(mine)
    assert changed.session is None
    assert "mine.py has changed since the run" in changed.notes[0]


def test_answers_that_cannot_be_compared_as_they_were_are_compared_by_normal_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> None:
        raise MissingExtra("symbolic equality", "symbolic")

    monkeypatch.setattr("dynasor.launch.reopen.comparing", missing)
    again = opened(past(tmp_path, "sc", branch, grouping="symbolic"))
    assert again.session is not None
    assert "compared by their normal form" in again.notes[0]
    assert "dynasor-serve[symbolic]" in again.notes[0]


@pytest.mark.slow
@pytest.mark.skipif(find_spec("math_verify") is None, reason="needs the extra: symbolic")
def test_symbolic_equality_is_at_hand_while_a_program_is_played(tmp_path: Path) -> None:
    run = write(tmp_path, settings(grouping="symbolic"), landed(0, "x+1"), landed(1, "1+x"))
    again = opened(run)
    assert again.notes == []
    assert again.session is not None
    assert again.session.program.certaindex == 1.0
    assert again.answers["1+x"].same == "x+1"


@pytest.mark.parametrize("name", [name for name, kind in ALGORITHMS.items() if kind.settings is not None])
def test_settings_are_read_as_a_journal_writes_them(name: str) -> None:
    text = describe(name, ALGORITHMS[name].settings)
    made = remade_algorithm(text)
    assert made.settings == ALGORITHMS[name].settings
    assert issubclass(made, ALGORITHMS[name])
    assert briefly(text) == name


def test_names_are_brief_only_where_that_is_sure() -> None:
    assert briefly("sc") == "sc"
    assert briefly("rebase:temperature=0.2") == "rebase"
    assert briefly("rebase:rule=ceil") == "rebase:rule=ceil"
    assert briefly("mine.py:Mine (0123456789ab)") == "mine.py:Mine (0123456789ab)"
    assert issubclass(remade_algorithm("rebase"), Search)


def test_what_is_no_run_is_refused_in_one_line(tmp_path: Path) -> None:
    write(tmp_path / "headless", landed(0, "2"))
    write(tmp_path / "run", settings(), landed(0, "2"))
    with (tmp_path / "run" / "journal.jsonl").open("a") as file:
        file.write('{"kind":"landed"}\n')
    for directory, fault in (
        ("gone", "no such directory"),
        (".", r"no journal\.jsonl in"),
        ("headless", "does not begin with the settings of a run"),
        ("run", "line 3: not a journal record"),
    ):
        with pytest.raises(UsageError, match=fault) as caught:
            past_program(tmp_path / directory, "p")
        assert "\n" not in str(caught.value)
        with pytest.raises(UsageError, match=fault):
            past_run(tmp_path / directory)


def test_a_problem_that_is_not_there_has_its_neighbours_named(tmp_path: Path) -> None:
    run = past(tmp_path, "sc", branch)
    with pytest.raises(UsageError, match=r"no problem 'pp' in .*; did you mean 'p'\?"):
        past_program(run, "pp")
    with pytest.raises(UsageError, match=r"dynasor show .* lists them"):
        past_program(run, "nothing like it")
    assert isinstance(past_program(run, "p"), PastProgram)
