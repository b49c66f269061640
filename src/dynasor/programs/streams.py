"""The streams of one program: what each has come to, and which of them the program waits for."""

from collections.abc import Iterable
from dataclasses import dataclass

from dynasor.programs.steps import Grown
from dynasor.request import Completion, Report, Request, RequestId


@dataclass(slots=True)
class _State:
    grown: Grown
    news: bool = False
    cut: bool = False

    @property
    def running(self) -> bool:
        return self.grown.completion is None


class Streams:
    """Those that were started, ended ones included."""

    def __init__(self) -> None:
        self._states: dict[RequestId, _State] = {}
        self._awaited: tuple[RequestId, ...] | None = None

    def __contains__(self, id: RequestId) -> bool:
        return id in self._states

    @property
    def running(self) -> list[RequestId]:
        """Those that have not ended, in the order in which they were started."""
        return [id for id, state in self._states.items() if state.running]

    def start(self, requests: Iterable[Request]) -> None:
        """Take in requests that were submitted."""
        self._states |= {request.id: _State(Grown(request.id)) for request in requests}

    def report(self, report: Report) -> None:
        """Take in what one has generated so far."""
        state = self._states[report.id]
        if not state.cut:
            state.grown, state.news = Grown(report.id, report.text, report.tokens), True

    def land(self, completion: Completion) -> None:
        """Take in how one ended."""
        state = self._states[completion.id]
        tokens = state.grown.tokens if completion.tokens is None else completion.tokens
        state.grown = Grown(completion.id, completion.text or state.grown.text, tokens, completion)

    def was_cut(self, id: RequestId) -> bool:
        """Whether it is one that was cut."""
        return self._states[id].cut

    def cut(self, ids: Iterable[RequestId]) -> tuple[RequestId, ...]:
        """Mark those to be cut; gives those of them that run and were not cut before."""
        fresh = tuple(id for id in ids if self._states[id].running and not self._states[id].cut)
        for id in fresh:
            self._states[id].cut = True
        return fresh

    def wait(self, ids: tuple[RequestId, ...]) -> None:
        """Wait for the growth of these."""
        self._awaited = ids

    def take_growth(self) -> tuple[Grown, ...] | None:
        """What is waited for, if it has come; then nothing is waited for."""
        if self._awaited is None:
            return None
        states = [self._states[id] for id in self._awaited]
        if not all(state.news or not state.running for state in states):
            return None
        self._awaited = None
        for state in states:
            state.news = False
        return tuple(state.grown for state in states)
