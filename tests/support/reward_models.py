"""Reward models and an engine for tests, whose every answer waits for a word of the test."""

import asyncio
from collections.abc import Sequence

from dynasor.errors import EngineError
from dynasor.request import Completion, Finish, Prompt, Report, Request, RequestId


def text_of(prompt: Prompt) -> str:
    """All that is said in a prompt."""
    return prompt if isinstance(prompt, str) else "\n".join(turn.content for turn in prompt)


class LengthReward:
    """The reward of a text is its length, as a share of a thousand characters.

    A text with one of these words in it is treated so: `refused` and `outage` fail, `nan`, `large` and `bug` do what
    they say, and `few` gives one score too many.
    """

    end = "<end>"

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.events: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def check(self) -> None:
        self.events.append("check")

    async def score(self, texts: Sequence[Prompt]) -> list[float]:
        self.calls.append([text_of(text) for text in texts])
        await self.gate.wait()
        said = " ".join(self.calls[-1])
        if "refused" in said or "outage" in said:
            raise EngineError("told to fail", retryable="outage" in said)
        if "bug" in said:
            raise ZeroDivisionError("told to fail")
        scores = [self.score_of(text) for text in self.calls[-1]]
        return [*scores, 0.5] if "few" in said else scores

    def score_of(self, text: str) -> float:
        return float("nan") if "nan" in text else 7.5 if "large" in text else len(text) / 1000

    async def close(self) -> None:
        self.events.append("close")


class ToldEngine:
    """Ends what it is told to end."""

    def __init__(self) -> None:
        self.running: dict[RequestId, Request] = {}
        self.ended: list[Completion] = []
        self.reports: list[Report] = []
        self.fault: Exception | None = None
        self.news = asyncio.Event()
        self.closed = False

    async def check(self) -> None: ...

    def submit(self, request: Request) -> None:
        self.running[request.id] = request

    def cancel(self, id: RequestId) -> None:
        if id in self.running:
            self.end(Completion(id=id, finish=Finish.CANCELLED, tokens=1))

    def end(self, *completions: Completion) -> None:
        for completion in completions:
            del self.running[completion.id]
        self.ended += completions
        self.news.set()

    def report(self, report: Report) -> None:
        self.reports.append(report)
        self.news.set()

    def fail(self, fault: Exception) -> None:
        self.fault = fault
        self.news.set()

    async def ready(self) -> Sequence[Completion]:
        while not self.ended and not self.reports and not self.closed and self.fault is None:
            self.news.clear()
            await self.news.wait()
        if self.fault is not None:
            raise self.fault
        ended, self.ended = self.ended, []
        return ended

    def take_reports(self) -> list[Report]:
        reports, self.reports = self.reports, []
        return reports

    async def close(self) -> None:
        self.closed = True
        for id in list(self.running):
            self.cancel(id)
        self.news.set()
