import asyncio
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from dynasor.allocation.allocator import InFlight, InRounds
from dynasor.allocation.decided import Decided
from dynasor.answers.grouping import ByNormalForm
from dynasor.certaindex.entropy import certaindex_of
from dynasor.cli.live_answer import Asked, branch_line, branch_text, closing
from dynasor.cli.live_arms import Arm, Running, Shared, shared
from dynasor.cli.live_board import TALLEST, board, interleaved, line, told
from dynasor.cli.live_branches import Branches
from dynasor.cli.live_screen import Screen
from dynasor.journal.records import Landed, RunStarted
from dynasor.launch.launch import Launch, prepare
from dynasor.launch.options import RunOptions
from dynasor.metrics.intervals import Estimate
from dynasor.programs.program import Setup
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.programs.session import Session
from dynasor.request import Completion, Finish, ProgramId, RequestId
from support.batches import StillClock, batch_of, problems_of
from support.journals import finished


def landed(
    index: int, answer: str | None = "7", program: str = "p0", tokens: int | None = 10, finish: Finish = Finish.STOP
) -> Landed:
    id = RequestId(ProgramId(program), index)
    error = "refused" if finish is Finish.FAILED else None
    return Landed(answer=answer, completion=Completion(id=id, text="so 7", tokens=tokens, finish=finish, error=error))


def arm_of(name: str, *records: Landed, problems: int = 4) -> Arm:
    arm = Arm(name, problems)
    for record in records:
        arm.take(record)
    return arm


def shown(what: RenderableType, width: int = 80) -> list[str]:
    console = Console(width=width, file=StringIO(), record=True)
    console.print(what)
    return [line.rstrip() for line in console.export_text().splitlines()]


def running(question: str, arm: str = "certaindex", granted: int = 5, *answers: str | None) -> Running:
    branches = Branches()
    for index, answer in enumerate(answers):
        branches.take(landed(index, answer))
    return Running(arm, question, granted, branches)


def test_branches_are_counted_by_how_they_ended() -> None:
    branches = Branches()
    for record in (
        landed(0, "7"),
        landed(1, "7.0", finish=Finish.LENGTH),
        landed(2, "8"),
        landed(3, None, finish=Finish.CANCELLED),
        landed(4, None, tokens=None, finish=Finish.FAILED),
        landed(5, None),
    ):
        branches.take(record)
    assert (branches.landed, branches.cut, branches.failed, branches.tokens) == (4, 1, 1, 50)
    assert branches.leaders == [("7", 2), ("8", 1)], "two spellings are one answer, as its first branch spelled it"
    assert branches.unanswered == 1
    assert branches.certaindex == pytest.approx(certaindex_of([2, 1, 1]))


def test_an_arm_counts_running_programs_and_lets_go_of_answered_ones() -> None:
    arm = arm_of("even", landed(0), landed(1, program="p1"), landed(1))
    arm.take(RunStarted(settings={}, circumstances={}))
    assert (arm.done, arm.branch_count, arm.tokens) == (0, 3, 30)
    arm.take(finished("p0", answer="7", tokens=20, correct=1.0))
    session = Session(SelfConsistency(problems_of(2)[1], Setup(cap=4)), InRounds(Decided()))
    session.start(0.0)
    arm.look([session])
    assert (arm.done, arm.branch_count, arm.tokens) == (1, 3, 30)
    (left,) = arm.running
    assert (left.question, left.branches.landed) == ("question 1", 1)
    assert left.granted == 1 + session.in_flight_count


def test_arms_are_compared_on_the_problems_that_both_have_answered() -> None:
    even, other = Arm("even", 4), Arm("certaindex", 4)
    for number in range(3):
        even.take(finished(f"p{number}", answer="7", tokens=100))
    for number, answer, tokens in ((1, "7.0", 40), (2, "8", 60), (3, "9", 1000)):
        other.take(finished(f"p{number}", answer=answer, tokens=tokens))
    both = shared(even, other)
    assert (both.problem_count, both.changed) == (2, 1)
    assert both.saved.value == pytest.approx(0.5)
    assert told(Shared(2, Estimate(0.5, 0.25, 0.75), 1)) == (
        "saved 50.0 % [25.0, 75.0] of the tokens of 2 problems; 1 answer changed"
    )
    assert "no problem" in told(shared(even, Arm("certaindex", 4)))


@pytest.mark.parametrize("width", [80, 120])
def test_the_board_fits_its_terminal_and_says_everything(width: int) -> None:
    even, other = arm_of("even", problems=200), arm_of("certaindex", problems=200)
    for number in range(200):
        question = f"How many apples\nhas {number}, who had very many of them before, when the year began?"
        even.take(finished(f"p{number}", answer="7", tokens=1400, correct=number % 2, question=question))
        other.take(finished(f"p{number}", answer="123456789", tokens=700, correct=number % 2, question=question))
    long = "There are eleven walls in the museum, and each of them has fifty-five pictures and one door."
    other.running = [running(long, "certaindex", 20, "927", "927", "a very long answer", None)] * 40
    lines = shown(board("200 problems", even, other, 40), width)
    assert len(lines) == TALLEST
    assert max(map(len, lines)) <= width
    page = "\n".join(lines)
    for words in ("even", "200/200", "██████████", "1,400", "700", "50.0 %", "saved 50.0 %", "200 answers changed"):
        assert words in page
    certaindex = certaindex_of([2, 1, 1])
    assert f"{certaindex:.2f}      4   0      20 927×2 " in page
    assert "certaindex There are eleven" in page
    assert page.count("How many apples has 19") == 3, "the latest three"
    assert "1234567… right" in page


def test_the_board_of_runs_that_have_just_begun() -> None:
    lines = shown(board("nothing yet", Arm("even", 2), Arm("certaindex", 2), 24))
    assert [line for line in lines if line][-2:] == ["no program is running", "certaindex has answered nothing yet"]
    assert "–" in lines[2], "no accuracy"


def test_a_small_terminal_shows_fewer_programs() -> None:
    other = Arm("certaindex", 2)
    other.running = [running(f"question {number}") for number in range(9)]
    few, many = (shown(board("", Arm("even", 2), other, height)) for height in (10, 16))
    assert sum("question " in line for line in few) == 1 + 1, "the heading, and one program"
    assert sum("question " in line for line in many) == 1 + 4


def test_programs_of_both_arms_are_shown_two_to_one() -> None:
    others, evens = [running(f"c{n}") for n in range(3)], [running(f"e{n}", "even") for n in range(3)]
    assert [program.question for program in interleaved(others, evens)] == ["c0", "c1", "e0", "c2", "e1", "e2"]
    assert [program.question for program in interleaved([], evens)] == ["e0", "e1", "e2"]


def test_an_arm_in_a_line() -> None:
    arm = arm_of("even", landed(0), problems=1000)
    assert line(arm) == "even: 0 of 1,000 problems, 10 tokens, accuracy –"


@pytest.mark.parametrize("size", [1, 7])
async def test_an_observed_batch_is_told_of_every_record_and_again_when_it_goes_on(tmp_path: Path, size: int) -> None:
    batch, arm = batch_of(tmp_path), Arm("even", 10)
    batch.witness = arm.take
    granted: set[int] = set()

    def observe() -> None:
        arm.look(batch.running)
        granted.update(program.granted for program in arm.running)
        if arm.done >= size:
            batch.interrupt()

    batch.observe = observe
    await batch.run()
    assert arm.done == batch.tally.finished < 10
    assert granted == {6}
    again, resumed = Arm("even", 10), batch_of(tmp_path)
    resumed.witness = again.take
    await resumed.run()
    assert (again.done, again.branch_count) == (10, 60)
    assert again.tally.summary() == resumed.tally.summary()
    assert again.tokens == sum(tokens for tokens, _ in again.answers.values())


def screen_of(*, terminal: bool, quiet: bool = False) -> tuple[Screen, StringIO]:
    text = StringIO()
    console = Console(file=text, force_terminal=terminal, width=80, height=24, _environ={"TERM": "xterm"})
    return Screen("two arms", quiet=quiet, console=console, clock=StillClock()), text


async def watched(screen: Screen, out: Path) -> None:
    launches: list[Launch] = []
    for policy in ("even", "decided"):
        options = RunOptions(trace="svamp", limit=5, cap=10, policy=policy, out=out / policy)
        launches.append(await prepare(options))
        screen.watch(policy, launches[-1])
    screen.begin()
    await asyncio.gather(*(launch.run() for launch in launches))
    screen.end()


async def test_a_terminal_gets_a_board_and_is_given_back(tmp_path: Path) -> None:
    screen, text = screen_of(terminal=True)
    await watched(screen, tmp_path)
    assert "two arms" in text.getvalue()
    assert "certaindex" in text.getvalue()
    assert "of 5 problems" not in text.getvalue()
    assert text.getvalue().count("\x1b[?25l") == text.getvalue().count("\x1b[?25h") == 1, "the cursor is back"


async def test_without_a_terminal_there_are_plain_lines(tmp_path: Path) -> None:
    screen, text = screen_of(terminal=False)
    await watched(screen, tmp_path)
    lines = text.getvalue().splitlines()
    assert lines[0].startswith("dynasor: even: ")
    assert "5 of 5 problems" in lines[-1]
    assert len(lines) <= 10
    assert "\x1b" not in text.getvalue()


@pytest.mark.slow
async def test_quiet_tells_of_a_resumed_run_only(tmp_path: Path) -> None:
    screen, text = screen_of(terminal=True, quiet=True)
    await watched(screen, tmp_path)
    assert not text.getvalue()
    screen, text = screen_of(terminal=False, quiet=True)
    await watched(screen, tmp_path)
    assert text.getvalue().count("resuming") == 2
    assert "even: 5 of 5 problems are done" in text.getvalue()


def test_a_question_is_told_branch_by_branch() -> None:
    asked = Asked()
    first, second = asked.take(landed(1, "7")), asked.take(landed(0, "7", tokens=None))
    failed = asked.take(landed(2, None, finish=Finish.FAILED))
    assert first is not None
    assert second is not None
    assert failed is not None
    assert (first.certaindex, second.certaindex) == (0.0, 1.0)
    assert shown(branch_line(first)) == ["     2 7                   10 came to its end              0.00"]
    assert shown(branch_line(second)) == ["     1 7                    – came to its end   ██████████ 1.00"]
    assert shown(branch_text(second)) == ["        so 7"]
    assert "failed" in shown(branch_line(failed))[0]
    assert asked.take(RunStarted(settings={}, circumstances={})) is None
    assert asked.told == [first, second, failed]


def test_the_vote_is_a_chart_and_the_cost_is_told() -> None:
    asked = Asked()
    for index, answer in enumerate(("7", "7", "8", None)):
        asked.take(landed(index, answer))
    record = finished("p0", answer="7", certaindex=0.5, knob=4, tokens=40, even_tokens=200.0, stopped_by="decided")
    assert asked.take(record) is None
    assert asked.finished is record
    lines = shown(closing(asked, record, 20))
    assert [line.split() for line in lines if "█" in line] == [
        ["7", "█" * 15, "2"],
        ["8", "███████▌", "1"],
        ["no", "answer", "███████▌", "1"],
    ]
    assert "answer      7" in lines
    assert "stopped by  decided: no further branch could change the vote" in lines
    assert "tokens      40; all 20 branches would take about 200 (saved: 80 %)" in lines
    none = finished("p0", answer=None, knob=20, tokens=2000, stopped_by="a reason of its own")
    lines = shown(closing(asked, none, 20))
    assert "answer      none" in lines
    assert "stopped by  a reason of its own" in lines
    assert "tokens      2,000" in lines


def test_a_session_tells_how_many_requests_are_in_flight() -> None:
    program = SelfConsistency(problems_of(1)[0], Setup(cap=3, grouping=ByNormalForm))
    session = Session(program, InFlight(Decided()))
    assert session.in_flight_count == 0
    session.start(0.0)
    assert session.in_flight_count == 3
    session.land(Completion(id=RequestId(program.id, 0), text="7"), 0.0)
    assert session.in_flight_count == 2
