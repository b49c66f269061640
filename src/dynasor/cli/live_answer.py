"""One question as one sees it answered: its branches as they land, then the vote and what it cost. Writes no file."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from rich.bar import Bar
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from dynasor.bench.wording import count
from dynasor.cli.live_branches import Branches
from dynasor.journal.records import Landed, ProgramFinished, Record
from dynasor.request import Finish

_BAR_WIDTH = 10
_VOTES_WIDTH = 30
_WIDTHS = (6, 14, 7, 17, _BAR_WIDTH, 4)
_ENDED: Mapping[Finish, str] = {
    Finish.STOP: "came to its end",
    Finish.LENGTH: "ran out of tokens",
    Finish.CANCELLED: "cut",
    Finish.FAILED: "failed",
}
_WHY: Mapping[str, str] = {
    "cap": "all branches were drawn",
    "certain": "the branches agree",
    "decided": "no further branch could change the vote",
}


@dataclass(frozen=True, slots=True)
class BranchTold:
    """A branch that has ended, and what the vote came to with it; `number` counts from 1."""

    number: int
    answer: str | None
    tokens: int | None
    finish: Finish
    certaindex: float
    text: str
    fault: str | None = None


@dataclass(slots=True)
class Asked:
    """One question, folded from the records of its run; `finished` is None until it is answered."""

    branches: Branches = field(default_factory=Branches)
    told: list[BranchTold] = field(default_factory=list)
    finished: ProgramFinished | None = None

    def take(self, record: Record) -> BranchTold | None:
        """Take in a record; return the branch, where it tells of one."""
        if isinstance(record, ProgramFinished):
            self.finished = record
        if not isinstance(record, Landed):
            return None
        self.branches.take(record)
        done = record.completion
        certaindex = self.branches.certaindex
        self.told.append(
            BranchTold(
                done.id.index + 1, record.answer, done.tokens, done.finish, certaindex, done.text.strip(), done.error
            )
        )
        return self.told[-1]


def heading() -> RenderableType:
    """The line above the branches."""
    return _row("branch", "answer", "tokens", "how it ended", "certaindex", "", style="dim")


def branch_line(branch: BranchTold) -> RenderableType:
    """One branch in a line."""
    bar = Bar(size=1.0, begin=0.0, end=branch.certaindex, width=_BAR_WIDTH)
    tokens = "–" if branch.tokens is None else count(branch.tokens)
    answer = _one_line(branch.answer) if branch.answer is not None else "–"
    return _row(str(branch.number), answer, tokens, _ENDED[branch.finish], bar, f"{branch.certaindex:.2f}")


def branch_text(branch: BranchTold) -> Text:
    """What the model wrote, indented; or why it wrote nothing."""
    lines = (branch.text or branch.fault or "(no text)").splitlines()
    return Text("\n".join(f"        {line}" for line in lines), style="dim")


def closing(asked: Asked, finished: ProgramFinished, cap: int) -> Group:
    """The votes as bars, the answer, why no more was drawn, and what it cost."""
    return Group(Text(), _votes(asked.branches), Text(), _figures(finished, cap))


def _votes(branches: Branches) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("votes", max_width=40, no_wrap=True, overflow="ellipsis")
    table.add_column("")
    table.add_column("", justify="right")
    for answer, number in _counted(branches):
        bar = Bar(size=float(branches.landed), begin=0.0, end=float(number), width=_VOTES_WIDTH)
        table.add_row(Text(answer), bar, str(number))
    return table


def _counted(branches: Branches) -> Iterator[tuple[str, int]]:
    for answer, number in branches.leaders:
        yield _one_line(answer), number
    if branches.unanswered:
        yield "no answer", branches.unanswered


def _figures(finished: ProgramFinished, cap: int) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    why = _WHY.get(finished.stopped_by)
    stopped = f"{finished.stopped_by}: {why}" if why else finished.stopped_by
    for name, text in (
        ("answer", "none" if finished.answer is None else _one_line(finished.answer)),
        ("certaindex", f"{finished.certaindex:.2f}"),
        ("stopped by", stopped),
        ("branches", f"{finished.knob} of at most {cap}"),
        ("tokens", _cost(finished, cap)),
    ):
        table.add_row(Text(name, style="dim"), Text(text, style="bold" if name == "answer" else ""))
    return table


def _cost(finished: ProgramFinished, cap: int) -> str:
    if finished.knob >= cap or not finished.even_tokens:
        return count(finished.tokens)
    saved = 1 - finished.tokens / finished.even_tokens
    expected = count(round(finished.even_tokens))
    return f"{count(finished.tokens)}; all {cap} branches would take about {expected} (saved: {100 * saved:.0f} %)"


def _row(*cells: RenderableType, style: str = "") -> Table:
    table = Table.grid(padding=(0, 1, 0, 0))
    for place, width in enumerate(_WIDTHS):
        right = place in (0, 2)
        table.add_column(
            width=width, no_wrap=True, overflow="ellipsis", justify="right" if right else "left", style=style
        )
    table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells))
    return table


def _one_line(text: str) -> str:
    return " ".join(text.split())
