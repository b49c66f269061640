"""The growth of running requests, in a journal: a record holds only what is new, so that a text is written once."""

from dynasor.journal.records import Grew
from dynasor.request import ProgramId, Report, RequestId


class Growth:
    """What each request has come to."""

    def __init__(self) -> None:
        self._texts: dict[RequestId, str] = {}

    def record(self, report: Report) -> Grew:
        """What is to be written of a report."""
        known = self._texts.get(report.id, "")
        at = len(known) if report.text.startswith(known) else 0
        self._texts[report.id] = report.text
        return Grew(
            id=report.id, at=at, added=report.text[at:], tokens=report.tokens, lowest_logprob=report.lowest_logprob
        )

    def report(self, record: Grew) -> Report:
        """What was reported."""
        text = self._texts.get(record.id, "")[: record.at] + record.added
        self._texts[record.id] = text
        return Report(id=record.id, text=text, tokens=record.tokens, lowest_logprob=record.lowest_logprob)

    def forget(self, id: RequestId) -> None:
        """The request has ended."""
        self._texts.pop(id, None)

    def leave(self, program: ProgramId) -> None:
        """A program is left for a resume: what its requests have come to is in the journal."""
        for id in [id for id in self._texts if id.program == program]:
            del self._texts[id]
