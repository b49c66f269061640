"""Two arms side by side on a terminal, while they run. Pure: from what is known to what is shown."""

from collections.abc import Iterator, Sequence
from itertools import chain, zip_longest

from rich.bar import Bar
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from dynasor.bench.wording import count, percent, problems
from dynasor.cli.live_arms import Arm, Running, Shared, shared
from dynasor.journal.records import ProgramFinished

TALLEST = 19
_FIXED_LINES = 12  # all that is not a running program
_BAR_WIDTH = 10
_VOTES_SHOWN = 2
_LONGEST_ANSWER = 8


def board(title: str, even: Arm, other: Arm, height: int) -> Group:
    """The arms, what is saved so far, the running programs, and what was answered last; at most `height` lines."""
    rows = max(1, min(TALLEST, height) - _FIXED_LINES)
    return Group(
        _line(title, "bold"),
        _arms_table((even, other)),
        _line(told(shared(even, other)), "bold"),
        _line(""),
        _running_table(list(interleaved(other.running, even.running))[:rows]),
        _line(""),
        _answers_table(other.name, tuple(other.latest)),
    )


def told(both: Shared) -> str:
    """What is saved so far, in a line."""
    if not both.problem_count:
        return "saved: no problem is answered in both yet"
    changed = f"{both.changed} answer{'s' * (both.changed != 1)} changed"
    return f"saved {percent(both.saved)} of the tokens of {problems(both.problem_count)}; {changed}"


def line(arm: Arm) -> str:
    """One arm in a line, for where there is no terminal."""
    done = f"{count(arm.done)} of {problems(arm.problem_count)}"
    return f"{arm.name}: {done}, {count(arm.tokens)} tokens, accuracy {_accuracy(arm)}"


def interleaved(first: Sequence[Running], second: Sequence[Running]) -> Iterator[Running]:
    """Two of the first, one of the second, and so on: the first are those that one wants to watch."""
    pairs = zip_longest(first[::2], first[1::2], second)
    return (program for program in chain.from_iterable(pairs) if program is not None)


def _line(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def _arms_table(arms: Sequence[Arm]) -> Table:
    table = _table()
    table.add_column("", no_wrap=True)
    for heading in ("problems", "", "branches", "tokens", "per problem", "accuracy"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for arm in arms:
        table.add_row(
            Text(arm.name),
            f"{arm.done}/{arm.problem_count}",
            _bar(arm.done / max(arm.problem_count, 1)),
            count(arm.branch_count),
            count(arm.tokens),
            f"{arm.tally.tokens.mean:,.0f}" if arm.done else "",
            _accuracy(arm),
        )
    return table


def _table(*, expand: bool = False) -> Table:
    return Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim", expand=expand)


def _bar(share: float) -> Bar:
    return Bar(size=1.0, begin=0.0, end=share, width=_BAR_WIDTH)


def _accuracy(arm: Arm) -> str:
    return f"{100 * arm.tally.judged.mean:.1f} %" if arm.tally.judged.count else "–"


def _running_table(programs: Sequence[Running]) -> RenderableType:
    if not programs:
        return _line("no program is running", "dim")
    table = _table(expand=True)
    table.add_column("running", no_wrap=True)
    table.add_column("question", no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column("certaindex", no_wrap=True)
    table.add_column("", no_wrap=True)
    for heading in ("landed", "cut", "granted"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("votes", no_wrap=True, min_width=13)
    for program in programs:
        table.add_row(*_cells(program))
    return table


def _cells(program: Running) -> Iterator[RenderableType]:
    branches = program.branches
    yield Text(program.arm)
    yield Text(_one_line(program.question))
    yield _bar(branches.certaindex)
    yield f"{branches.certaindex:.2f}"
    for number in (branches.landed, branches.cut, program.granted):
        yield count(number)
    yield Text(" ".join(f"{_short(answer)}×{number}" for answer, number in branches.leaders[:_VOTES_SHOWN]))


def _answers_table(arm: str, latest: Sequence[ProgramFinished]) -> RenderableType:
    if not latest:
        return _line(f"{arm} has answered nothing yet", "dim")
    table = _table(expand=True)
    table.add_column("answered", no_wrap=True)
    table.add_column("question", no_wrap=True, overflow="ellipsis", ratio=1)
    for heading in ("stopped by", "branches", "certaindex", "answer"):
        table.add_column(heading, justify="left" if heading == "stopped by" else "right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for record in latest:
        table.add_row(
            Text(arm),
            Text(_one_line(record.question)),
            Text(record.stopped_by),
            count(record.knob),
            f"{record.certaindex:.2f}",
            Text(_short(record.answer or "none")),
            "" if record.correct is None else "right" if record.correct > 0.5 else "wrong",
        )
    return table


def _one_line(question: str) -> str:
    return " ".join(question.split())


def _short(answer: str) -> str:
    return answer if len(answer) <= _LONGEST_ANSWER else f"{answer[: _LONGEST_ANSWER - 1]}…"
