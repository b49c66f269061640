"""Probed chains of thought: the chains, and what their probes told as they grew. Knows no journal."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import RenderableType
from rich.text import Text

from dynasor.cli import show_cells as cells
from dynasor.launch.past import PastRequest
from dynasor.launch.reopen import Answer, Reopened, Watched
from dynasor.programs.chains import Chain
from dynasor.programs.probed import Probed
from dynasor.programs.probing import hesitates
from dynasor.request import ProgramId, RequestId


@dataclass(frozen=True, slots=True)
class Probe:
    """A probe: of which chain (from 1), after how many of its tokens, and what certaindex came to with it."""

    request: PastRequest
    chain: int
    after_tokens: int | None
    certaindex: float | None

    @property
    def hesitates(self) -> bool:
        """Whether its answer does not count."""
        return self.request.ended is not None and hesitates(self.request.text)


def chains_view(program: Probed, session: Watched, reopened: Reopened) -> Iterator[RenderableType]:
    """The chains, then the probes in the order in which they landed."""
    table = cells.plain_table(expand=True)
    cells.add_columns(table, "chain tokens ended answer _", right="chain tokens")
    cells.add_texts(table, "text")
    for number, chain, request in _chains(program, reopened):
        told = _told(chain.concluded, reopened)
        correct = told.correct if told else None
        table.add_row(
            str(number),
            cells.tokens_cell(request.tokens),
            cells.ended_word(request.ended),
            cells.answer_cell(chain.concluded, correct),
            cells.judged(correct),
            Text(cells.one_line(request.text)),
        )
    yield table
    if probes := probes_of(program, session, reopened):
        yield Text()
        yield _probes_table(probes, reopened)


def chains_json(program: Probed, session: Watched, reopened: Reopened) -> dict[str, object]:
    """The same for machines; chains and probes are numbered from 1."""
    return {
        "chains": [
            {
                "number": number,
                "tokens": request.tokens,
                "ended": request.ended,
                "answer": chain.concluded,
                "text": request.text,
            }
            for number, chain, request in _chains(program, reopened)
        ],
        "probes": [_probe_json(probe, reopened) for probe in probes_of(program, session, reopened)],
    }


def probes_of(program: Probed, session: Watched, reopened: Reopened) -> list[Probe]:
    """All that were made."""
    numbers = {chain.id: number for number, chain, _ in _chains(program, reopened)}
    found = []
    for request in reopened.past.requests.values():
        chain = program.chain_of(RequestId(ProgramId(reopened.past.id), request.index))
        if chain is not None:
            after = session.grown.get(request.index, {}).get(chain.id.index)
            found.append(Probe(request, numbers[chain.id], after, session.readings.get(request.index)))
    return found


def _chains(program: Probed, reopened: Reopened) -> Iterator[tuple[int, Chain, PastRequest]]:
    requests = reopened.past.requests
    for number, chain in enumerate(program.chains, start=1):
        yield number, chain, requests.get(chain.id.index, PastRequest(chain.id.index))


def _probes_table(probes: Sequence[Probe], reopened: Reopened) -> RenderableType:
    table = cells.plain_table()
    cells.add_columns(
        table, "probe chain after tokens answer _ certaindex _", right="probe chain after tokens certaindex"
    )
    for number, probe in enumerate(probes, start=1):
        told = _told(probe.request.answer, reopened)
        correct = told.correct if told else None
        table.add_row(
            str(number),
            str(probe.chain),
            cells.tokens_cell(probe.after_tokens),
            cells.tokens_cell(probe.request.tokens),
            cells.answer_cell(probe.request.answer, correct),
            cells.judged(correct),
            cells.figure(probe.certaindex),
            Text("hesitates: not counted" if probe.hesitates else "", style="dim"),
        )
    table.columns[2].header = Text("after tokens")
    return table


def _told(answer: str | None, reopened: Reopened) -> Answer | None:
    return None if answer is None else reopened.answers.get(answer)


def _probe_json(probe: Probe, reopened: Reopened) -> dict[str, object]:
    told = _told(probe.request.answer, reopened)
    return {
        "chain": probe.chain,
        "after_tokens": probe.after_tokens,
        "answer": probe.request.answer,
        "correct": told.correct if told else None,
        "hesitates": probe.hesitates,
        "tokens": probe.request.tokens,
        "certaindex": None if probe.certaindex is None else round(probe.certaindex, 6),
        "text": probe.request.text,
    }
