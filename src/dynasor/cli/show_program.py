"""One program of a past run: its problem, what it came to and why, how it got there, and its votes. Writes nothing."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from dynasor.bench.wording import count
from dynasor.cli import show_cells as cells
from dynasor.cli.show_branches import branches_json, branches_view
from dynasor.cli.show_chains import chains_json, chains_view
from dynasor.cli.show_tree import tree_json, tree_view
from dynasor.cli.show_votes import votes_json, votes_of, votes_table
from dynasor.journal.records import ProgramFinished
from dynasor.launch.reopen import Reopened
from dynasor.programs.probed import Probed
from dynasor.programs.search import Search

_LONGEST = 200  # of an answer; one in code may be a page


def program_view(reopened: Reopened, *, texts: bool) -> Iterator[RenderableType]:
    """All there is to see; whole texts only where they are asked for."""
    yield _heading(reopened)
    yield Text()
    yield from _body(reopened)
    yield from _faults(reopened)
    if votes := votes_of(reopened):
        yield Text()
        yield votes_table(votes)
    if texts:
        yield from _texts(reopened)
    for note in reopened.notes:
        yield Text()
        yield Text(cells.one_line(note), style="dim")


def program_json(reopened: Reopened) -> dict[str, object]:
    """The same for machines."""
    past, finished = reopened.past, reopened.past.finished
    kind, body = _json_body(reopened)
    return {
        "problem": past.id,
        "settings": dict(past.settings),
        "finished": finished is not None,
        **(_finished_json(finished) if finished else {}),
        "kind": kind,
        **body,
        "votes": votes_json(votes_of(reopened)),
        "notes": reopened.notes,
    }


def _heading(reopened: Reopened) -> RenderableType:
    past, finished = reopened.past, reopened.past.finished
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("problem", Text(cells.one_line(past.id)))
    for name, text in zip(("algorithm", "policy"), cells.asked(past.settings), strict=True):
        table.add_row(name, Text(text))
    if finished is None:
        table.add_row("answer", Text("none yet: the run was stopped before", style="yellow"))
        return table
    table.add_row("question", Text(cells.printable(finished.question.strip())))
    if finished.gold is not None:
        table.add_row("expected", cells.answer_cell(finished.gold, None, _LONGEST))
    table.add_row("answer", _answer(finished))
    table.add_row("certaindex", cells.figure(finished.certaindex))
    table.add_row("stopped by", Text(cells.one_line(finished.stopped_by)))
    table.add_row("knob", f"{count(finished.knob)} of at most {past.settings.get('cap', '?')}")
    table.add_row("tokens", _cost(finished))
    return table


def _answer(finished: ProgramFinished) -> Text:
    answer = cells.answer_cell(finished.answer, finished.correct, _LONGEST)
    word = cells.judged_word(finished.correct)
    return answer + Text(f" ({word})" if word else "", style=answer.style)


def _cost(finished: ProgramFinished) -> str:
    parts = [f"{count(finished.tokens)}"]
    if finished.cut_count:
        parts.append(f"{count(finished.cut_tokens)} of them in {count(finished.cut_count)} that were cut")
    if finished.failed_count:
        parts.append(f"{count(finished.failed_count)} failed")
    return "; ".join(parts)


def _body(reopened: Reopened) -> Iterator[RenderableType]:
    session = reopened.session
    program = session.program if session else None
    if isinstance(program, Search):
        yield from tree_view(program, reopened)
    elif session and isinstance(program, Probed):
        yield from chains_view(program, session, reopened)
    else:
        yield from branches_view(reopened)


def _faults(reopened: Reopened) -> Iterator[RenderableType]:
    """Why requests failed, each reason once."""
    landed = (request.landed for request in reopened.past.requests.values())
    for fault in dict.fromkeys(record.completion.error for record in landed if record and record.completion.error):
        yield Text(f"failed: {cells.one_line(fault)}", style="dim")


def _json_body(reopened: Reopened) -> tuple[str, dict[str, object]]:
    session = reopened.session
    program = session.program if session else None
    if isinstance(program, Search):
        return "tree", tree_json(program, reopened)
    if session and isinstance(program, Probed):
        return "chains", chains_json(program, session, reopened)
    return "branches", branches_json(reopened)


def _texts(reopened: Reopened) -> Iterator[RenderableType]:
    """What each request brought, whole, by number."""
    for request in sorted(reopened.past.requests.values(), key=lambda request: request.index):
        yield Text()
        yield Text(f"{request.index + 1} ({cells.ended_word(request.ended)})", style="dim")
        yield Padding(Text(cells.printable(request.text.strip()) or "(no text)"), (0, 0, 0, 4))


def _finished_json(record: ProgramFinished) -> dict[str, object]:
    return {
        "question": record.question,
        "expected": record.gold,
        "answer": record.answer,
        "correct": record.correct,
        "certaindex": round(record.certaindex, 6),
        "knob": record.knob,
        "tokens": record.tokens,
        "cut_tokens": record.cut_tokens,
        "cut_count": record.cut_count,
        "failed_count": record.failed_count,
        "stopped_by": record.stopped_by,
    }
