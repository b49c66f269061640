"""`dynasor show`: what one sees of a run and of its programs."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dynasor.cli import main
from dynasor.cli.show import show
from dynasor.cli.show_outline import outline
from dynasor.errors import UsageError
from dynasor.journal.journal import JournalWriter
from dynasor.journal.records import Landed
from dynasor.programs.tree import Node
from dynasor.request import Completion, Finish, ProgramId, Request, RequestId
from support.commands import finish, start
from support.documents import StrictHTML
from support.journals import SyntheticRun
from support.past_runs import branch, chain, past
from support.search_models import SearchModel

MODEL = SearchModel(seed=3, failing=9)
CERTAIN = "stepped:threshold=1.0,detect_at=2,step=1"
DEEPCONF = "deepconf:warmup=3,kept_percent=50.0,report_every=2,group_tokens=4,agreed_share=1.0"


def invoke(*arguments: object) -> Result:
    """Run the command; an error of ours comes out as itself."""
    return CliRunner(env={"COLUMNS": None}).invoke(show, [str(a) for a in arguments], catch_exceptions=False)


def shown(*arguments: object) -> str:
    result = invoke(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "\x1b" not in result.stdout
    return result.stdout


def told(*arguments: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(invoke(*arguments, "--json").stdout)
    return found


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def row(text: str, start: str) -> str:
    """The words of the line that begins so."""
    return " ".join(next(line for line in text.splitlines() if line.strip().startswith(start)).split())


class TestARun:
    def test_its_problems_are_listed_in_the_order_of_their_ends(self, here: Path) -> None:
        past(Path("run"), "sc", branch)
        text = shown("run")
        assert text.startswith("run: sc, even, cap 4\n")
        assert row(text, "problem") == "problem answer expected certaindex knob tokens stopped by"
        assert row(text, "p  ") == "p 2 right 2 0.59 4 46 cap"
        assert row(text, "q  ") == "q 2 wrong 3 0.59 4 46 cap"
        assert text.endswith("\n2 problems\n")

    def test_only_the_wrong_ones_and_only_so_many(self, here: Path) -> None:
        SyntheticRun("even", count=40, skill=0.5).write(Path("run"))
        every = told("run")["problems"]
        assert [problem["id"] for problem in every] == [f"p{number}" for number in range(40)]
        wrong = [problem for problem in every if not problem["correct"]]
        assert 3 < len(wrong) < 40
        assert told("run", "--wrong")["problems"] == wrong
        assert told("run", "--wrong", "--limit", 2)["problems"] == wrong[:2]
        assert told("run", "--limit", 2)["problem_count"] == 40
        assert "2 of 40 problems" in shown("run", "--limit", 2)

    def test_what_is_unfinished_comes_last_with_what_it_has_cost(self, here: Path) -> None:
        past(Path("run"), "rebase", MODEL, turns=2)
        assert re.fullmatch(r"p \d+ unfinished", row(shown("run"), "p "))
        assert [problem["id"] for problem in told("run")["problems"]] == ["p", "q"]
        assert told("run", "--limit", 1)["problems"][0]["id"] == "p"
        assert told("run", "--wrong")["problems"] == []
        assert "0 of 2 problems" in shown("run", "--wrong")


class TestASearch:
    def test_its_tree_is_drawn_with_the_best_path_to_its_answer(self, here: Path) -> None:
        past(Path("run"), "rebase:temperature=0.5", MODEL, cap=8)
        text = shown("run", "--problem", "p")
        steps = {step["number"]: step for step in told("run", "--problem", "p")["steps"]}
        lines = re.findall(r"^(★?) +(\d+) [│├└ ]*(\S.*?)  +(\d\.\d\d) ", text, re.MULTILINE)
        assert {int(number) for _, number, _, _ in lines} == set(steps)
        for star, number, said, reward in lines:
            step = steps[int(number)]
            assert said == step["text"].strip()
            assert float(reward) == pytest.approx(step["reward"], abs=0.005)
            assert bool(star) == step["best"]
        answer = told("run", "--problem", "p")["answer"]
        best = [step for step in steps.values() if step["best"]]
        assert [step["answer"] for step in best] == [None] * (len(best) - 1) + [answer]
        assert [step["parent"] for step in best] == [None, *(step["number"] for step in best[:-1])]
        assert row(text, "algorithm") == "algorithm rebase:temperature=0.5"
        assert "failed: 400 no" in text
        assert "★ the best path to the answer" in text

    def test_that_of_mcts_tells_visits_and_what_it_left_out(self, here: Path) -> None:
        past(Path("run"), "mcts:expand=3", SearchModel(seed=3), cap=5)
        text = shown("run", "--problem", "p")
        assert row(text, "step") == "step reward visits value tokens answer"
        assert "more said the same as a sibling" in text
        first = told("run", "--problem", "p")["steps"][0]
        assert first["parent"] is None
        assert first["visits"] >= 1
        assert 0.0 <= first["value"] <= 1.0
        assert sum(vote["count"] for vote in told("run", "--problem", "p")["votes"]) == 5

    def test_one_that_was_stopped_is_drawn_as_far_as_it_came(self, here: Path) -> None:
        past(Path("run"), "rebase", SearchModel(seed=3), cap=6, turns=1)
        text = shown("run", "--problem", "p")
        assert "answer     none yet: the run was stopped before" in text
        found = told("run", "--problem", "p")
        assert (found["finished"], len(found["steps"])) == (False, 6), "the gang has landed, and nobody has gone on"
        assert "★" not in text

    def test_steps_that_wait_for_others_of_their_gang_are_drawn_too(self, here: Path) -> None:
        past(Path("run"), "rebase", SearchModel(seed=3), cap=6)
        journal = Path("run/journal.jsonl")
        first, *rest = journal.read_text().splitlines(keepends=True)
        journal.write_text("".join([first, *(line for line in rest if '"id":["p",' in line)][:4]))
        assert [step["number"] for step in told("run", "--problem", "p")["steps"]] == [1, 2, 3]

    def test_a_path_that_ends_without_an_answer_says_why(self, here: Path) -> None:
        def silent(request: Request) -> Completion:
            return Completion(id=request.id, text="hm", finish=Finish.LENGTH, tokens=3, reward=0.5)

        past(Path("run"), "rebase", silent, cap=2)
        text = shown("run", "--problem", "p")
        assert text.count("– (length)") == 2
        assert row(text, "answer") == "answer – (wrong)"
        assert row(text, "no answer").endswith("█ 2")

    def test_only_children_are_not_indented(self) -> None:
        def node(index: int, *children: Node) -> Node:
            return Node(index, children=list(children))

        root = node(-1, node(0, node(1, node(2), node(3, node(4)))), node(5, node(6)))
        drawn = [f"{before}{step.index}" for before, step in outline(root, lambda step: step.children)]
        assert drawn == ["├ 0", "│ 1", "│ ├ 2", "│ └ 3", "│   4", "└ 5", "  6"]
        assert [before for before, _ in outline(node(-1, node(0, node(1))), lambda step: step.children)] == ["", ""]


class TestBranches:
    def test_each_has_its_answer_and_what_certaindex_came_to(self, here: Path) -> None:
        past(Path("run"), "sc", branch)
        text = shown("run", "--problem", "p")
        assert row(text, "1 ") == "1 2 right 10 end 0.00 so [b]it[/b] [31mis The answer is 2."
        assert row(text, "3 ").startswith("3 7 wrong 12 end 0.42 so")
        assert row(text, "tokens ") == "tokens 46"
        assert re.search(r"^2 +right █+ +3$", text, re.MULTILINE)
        found = told("run", "--problem", "p")
        assert [b["certaindex"] for b in found["branches"]][-1] == found["certaindex"]
        assert found["votes"][0] == {"answer": "2", "correct": 1.0, "count": 3, "weight": None}

    @pytest.mark.parametrize(
        ("algorithm", "weights"),
        [("best-of-n", {"2": 0.9, "7": 0.7}), ("weighted-sc", {"2": 0.9 + 0.8 + 0.6, "7": 0.7})],
    )
    def test_what_they_weigh_decides(self, here: Path, algorithm: str, weights: dict[str, float]) -> None:
        past(Path("run"), algorithm, branch)
        votes = told("run", "--problem", "p")["votes"]
        assert {vote["answer"]: vote["weight"] for vote in votes} == pytest.approx(weights)
        assert "weight" in shown("run", "--problem", "p")

    def test_those_that_were_not_sure_weigh_nothing(self, here: Path) -> None:
        def doubtful(request: Request) -> Completion:
            index = request.id.index
            text = f"The answer is {index % 2}."
            return Completion(id=request.id, text=text, tokens=12, lowest_logprob=-0.1 * (index % 4))

        past(Path("run"), DEEPCONF, doubtful, cap=8)
        found = told("run", "--problem", "p")
        weights = {branch["number"]: branch["weight"] for branch in found["branches"]}
        assert [weights[number] for number in (1, 2, 3, 4)] == pytest.approx([1.0, 0.9048, 0.0, None], abs=1e-4)
        assert [branch["number"] for branch in found["branches"] if branch["ended"] == "cancelled"] == [4, 7, 8]
        assert "that were cut" in shown("run", "--problem", "p")

    def test_one_that_ended_when_it_was_cut_has_no_vote(self, here: Path) -> None:
        def equal(request: Request) -> Completion:
            return Completion(id=request.id, text="The answer is 2.", tokens=10)

        past(Path("run"), "sc", equal, "static:threshold=0.7,detect_at=3", cap=6, in_flight=True)
        found = told("run", "--problem", "p")
        assert [b["ended"] for b in found["branches"]] == ["stop"] * 3 + ["cancelled"] * 3
        assert [(vote["answer"], vote["count"]) for vote in found["votes"]] == [("2", 3)]
        assert shown("run", "--problem", "p").count(" cut ") == 3

    def test_a_recording_has_no_texts(self, here: Path) -> None:
        CliRunner().invoke(
            main, ["run", "--trace", "svamp", "--policy", "even", "--cap", "5", "--limit", "1", "--out", "run"]
        )
        text = shown("run", "--problem", "svamp-0")
        assert row(text, "branch") == "branch answer tokens ended certaindex"
        assert text.count("51     right") == 6, "five branches, and their votes"

    def test_whole_texts_where_they_are_asked_for(self, here: Path) -> None:
        past(Path("run"), "sc", branch)
        text = shown("run", "--problem", "p", "--texts")
        assert text.count("    The answer is 2.") == 3
        assert "    so [b]it[/b]  [31mis" in text, "markup is text, and what a terminal would obey is gone"

    def test_what_cannot_be_played_again_is_listed_as_it_was_written(self, here: Path) -> None:
        past(Path("run"), "sc", branch)
        journal = Path("run/journal.jsonl")
        journal.write_text(journal.read_text().replace('"algorithm":"sc"', '"algorithm":"theirs.Own (0123456789ab)"'))
        text = shown("run", "--problem", "p")
        assert row(text, "branch") == "branch answer tokens ended text"
        assert "handed over in Python" in " ".join(text.split())
        found = told("run", "--problem", "p")
        assert (found["kind"], len(found["branches"]), found["branches"][0]["certaindex"]) == ("branches", 4, None)
        assert [vote["count"] for vote in found["votes"]] == [3, 1]


class TestProbes:
    def test_each_tells_where_it_was_asked_and_what_it_settled(self, here: Path) -> None:
        past(Path("run"), "probed-cot", chain, CERTAIN, cap=12)
        text = shown("run", "--problem", "p")
        assert row(text, "1    160") == ("1 160 cut – Thinking it over. Thinking it over. Thinking it over…")
        assert row(text, "1     1") == "1 1 32 5 7 wrong 0.00 hesitates: not counted"
        assert row(text, "4     1") == "4 1 128 5 2 right 1.00"
        found = told("run", "--problem", "p")
        assert found["kind"] == "chains"
        assert [probe["certaindex"] for probe in found["probes"]] == [0.0, 0.0, 0.0, 1.0]
        assert (found["chains"][0]["ended"], found["votes"]) == ("cancelled", [])

    def test_several_chains_and_one_that_answered_itself(self, here: Path) -> None:
        def quick(request: Request) -> Completion:
            text = "The answer is 2." if request.id.index < 3 else "2} \\]"
            return Completion(id=request.id, text=text, tokens=70 if request.id.index == 0 else 500)

        past(Path("run"), "probed-sc:chains=3", quick, cap=4)
        found = told("run", "--problem", "p")
        assert found["chains"][0]["answer"] == "2"
        assert {probe["chain"] for probe in found["probes"]} == {1, 2, 3}
        assert row(shown("run", "--problem", "p"), "1     70").startswith("1 70 end 2 right The answer is 2.")

    def test_those_that_were_stopped_are_shown_as_far_as_they_came(self, here: Path) -> None:
        past(Path("run"), "probed-cot", chain, cap=12, turns=1)
        text = shown("run", "--problem", "p")
        assert row(text, "1     32").startswith("1 32 unfinished –")
        assert "after tokens" not in text


@pytest.mark.parametrize(
    ("algorithm", "model"), [("rebase", MODEL), ("probed-cot", chain), ("sc", branch), ("mcts", MODEL)]
)
def test_the_page_is_well_formed_and_says_what_the_terminal_says(here: Path, algorithm: str, model: Any) -> None:
    past(Path("<r>{un}"), algorithm, model)
    printed = invoke("<r>{un}", "--problem", "p", "--html", "deep/tree.html").stdout
    assert printed.endswith("wrote deep/tree.html\n")
    page = StrictHTML(Path("deep/tree.html").read_text())
    assert "<r>{un}: p" in page.text
    assert page.values("lang") == ["en"]
    assert "script" not in page.tags
    assert not page.values("href") + page.values("src")
    words = set(re.findall(r"\w+", printed)) - {"wrote", "deep", "html"}
    assert len(words - set(re.findall(r"\w+", page.text))) <= 6, "but for words that are cut elsewhere"
    assert "{{" not in Path("deep/tree.html").read_text()


def test_the_table_is_a_page_too_and_json_stays_alone(here: Path) -> None:
    past(Path("run"), "sc", branch)
    result = invoke("run", "--json", "--html", "run.html")
    assert json.loads(result.stdout)["problem_count"] == 2
    assert result.stderr == "wrote run.html\n"
    assert "certaindex" in StrictHTML(Path("run.html").read_text()).text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone"], "no such directory: gone"),
        (["."], r"no journal\.jsonl in \.; name the directory of a run"),
        (["run", "--problem", "pp"], r"no problem 'pp' in run; did you mean 'p'\?"),
        (["run", "--problem", "unlike"], "no problem 'unlike' in run; dynasor show run lists them"),
        (["torn"], r"torn/journal\.jsonl, line 2: not a journal record"),
        (["torn", "--problem", "p"], r"torn/journal\.jsonl, line 2: not a journal record"),
        (["run", "--problem", "p", "--wrong"], "--wrong and --limit choose among problems"),
        (["run", "--problem", "p", "--limit", "3"], "--wrong and --limit choose among problems"),
        (["run", "--texts"], "name it with --problem"),
        (["run", "--html", "run/journal.jsonl/x.html"], "cannot write run/journal.jsonl/x.html: .*; choose another"),
    ],
)
def test_bad_input_is_one_line_that_names_it(here: Path, arguments: list[str], message: str) -> None:
    past(Path("run"), "sc", branch)
    past(Path("torn"), "sc", branch)
    lines = Path("torn/journal.jsonl").read_text().splitlines()
    Path("torn/journal.jsonl").write_text("\n".join([lines[0], lines[1][5:], *lines[2:], ""]))
    with pytest.raises(UsageError, match=message) as caught:
        invoke(*arguments)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


def test_a_torn_last_line_is_no_damage(here: Path) -> None:
    past(Path("run"), "sc", branch)
    journal = Path("run/journal.jsonl")
    journal.write_bytes(journal.read_bytes()[:-20])
    assert [problem["id"] for problem in told("run")["problems"]] == ["p", "q"]
    assert told("run", "--problem", "q")["finished"] is False


def test_failed_branches_say_why_once(here: Path) -> None:
    def refusing(request: Request) -> Completion:
        if request.id.index:
            return Completion(id=request.id, finish=Finish.FAILED, error="400\nno", tokens=0)
        return branch(request)

    past(Path("run"), "sc", refusing)
    text = shown("run", "--problem", "p")
    assert text.count("failed: 400 no") == 1
    assert "10; 3 failed" in text


def test_an_unended_request_is_shown_by_what_it_last_said(here: Path) -> None:
    past(Path("run"), "sc", branch)
    extra = Landed(answer=None, completion=Completion(id=RequestId(ProgramId("new"), 0), tokens=None))
    with JournalWriter(Path("run/journal.jsonl")) as journal:
        journal.append(extra)
    assert row(shown("run", "--problem", "new"), "1 ") == "1 – – end 0.00"


def test_help_shows_examples_as_they_are_typed() -> None:
    text = invoke("--help").stdout
    assert "\n    dynasor show runs/certain --wrong --limit 20\n" in text
    assert max(map(len, text.splitlines())) <= 80
    assert "show" in CliRunner().invoke(main, ["--help"]).stdout


@pytest.mark.slow
def test_a_terminal_of_ascii_is_no_reason_to_fail(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    past(Path("run"), "mcts", MODEL)
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    code, out, err = finish(start("show", "run", "--problem", "p", cwd=Path.cwd()))
    assert (code, err) == (0, "")
    assert out.isascii()
