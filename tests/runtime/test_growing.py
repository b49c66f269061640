"""Chains that report, through a whole batch: growth in the journal, and a run that goes on in the midst of a chain."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from dynasor.allocation.allocator import InRounds
from dynasor.allocation.threshold import SteppedThreshold
from dynasor.datasets.problem import Problem
from dynasor.journal.journal import read_journal
from dynasor.journal.records import Grew, Landed, ProgramFinished
from dynasor.programs.probed import ProbedCot
from dynasor.programs.probing import Probing
from dynasor.programs.program import Setup
from dynasor.programs.session import Session
from dynasor.request import Completion, Finish, Message, Report, Request, RequestId
from dynasor.runtime.batch import Batch, BatchPlan
from support.batches import StillClock

CHAIN = "one two three four five six seven eight"


class Cot(ProbedCot):
    settings = Probing(interval=1, window=2)


class Writing:
    """An engine that writes a word of each chain at a turn; probes answer at once, or fail if told to."""

    def __init__(self, *, dies_after: int = 1000, probes_fail: bool = False) -> None:
        self.requests: list[Request] = []
        self._chains: dict[RequestId, tuple[Request, int]] = {}
        self._ended: list[Completion] = []
        self._reports: list[Report] = []
        self._turns, self._dies_after, self._probes_fail = 0, dies_after, probes_fail

    async def check(self) -> None:
        pass

    def submit(self, request: Request) -> None:
        self.requests.append(request)
        if request.report_every:
            self._chains[request.id] = (request, 0)
        elif self._probes_fail:
            self._ended.append(Completion(id=request.id, finish=Finish.FAILED, tokens=1, error="busy", retryable=True))
        else:
            written = said(request).count(" ") + 1
            answer = "7} \\]" if written >= 5 else f"{written}}} \\]"
            self._ended.append(Completion(id=request.id, text=answer, tokens=2))

    def cancel(self, id: RequestId) -> None:
        _, words = self._chains.pop(id)
        self._ended.append(Completion(id=id, finish=Finish.CANCELLED, tokens=words))

    async def ready(self) -> Sequence[Completion]:
        self._turns += 1
        if self._turns > self._dies_after:
            raise KeyboardInterrupt
        if not self._ended:
            for id, (request, words) in list(self._chains.items()):
                self._write(id, request, words + 1)
        ended, self._ended = self._ended, []
        return ended

    def _write(self, id: RequestId, request: Request, words: int) -> None:
        rest = CHAIN.split(" ")[len(said(request).split()) :]
        if words > len(rest):
            del self._chains[id]
            self._ended.append(Completion(id=id, text=" ".join(rest) + r" \boxed{8}", tokens=words))
            return
        self._chains[id] = (request, words)
        space = " " if said(request) else ""
        self._reports.append(Report(id=id, text=space + " ".join(rest[:words]), tokens=words))

    def take_reports(self) -> list[Report]:
        reports, self._reports = self._reports, []
        return reports

    async def close(self) -> None:
        pass


def said(request: Request) -> str:
    assert isinstance(request.prompt, tuple)
    last = request.prompt[-1]
    assert isinstance(last, Message)
    return last.content.removesuffix(Probing().suffix) if last.role == "assistant" else ""


def batch_of(engine: Writing, directory: Path) -> Batch:
    certain = SteppedThreshold(threshold=1.0, detect_at=2, step=1)
    problems = [Problem("p", "?", "7")]
    plan = BatchPlan(
        problems=problems,
        session=lambda problem: Session(Cot(problem, Setup(cap=20)), InRounds(certain)),
        settings={},
        cap=20,
    )
    return Batch(plan, engine, StillClock(), directory)


def finished(directory: Path) -> ProgramFinished:
    (record,) = (r for r in read_journal(directory / "journal.jsonl") if isinstance(r, ProgramFinished))
    return record


async def test_growth_is_written_once_and_the_chain_is_cut(tmp_path: Path) -> None:
    await batch_of(Writing(), tmp_path).run()
    records = list(read_journal(tmp_path / "journal.jsonl"))
    added = [record.added for record in records if isinstance(record, Grew)]
    assert "".join(added) == "one two three four five six"
    assert len(added) == 6, "each record holds one new word"
    record = finished(tmp_path)
    assert (record.answer, record.stopped_by, record.knob) == ("7", "certain", 6)
    assert (record.tokens, record.cut_tokens) == (6 + 6 * 2, 6)
    assert record.even_tokens == 12, "what a cut chain would have come to is known to nobody"


@pytest.mark.parametrize("turns", [1, 2, 3, 4, 5, 7, 9])
async def test_a_run_goes_on_in_the_midst_of_a_chain(tmp_path: Path, turns: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        await batch_of(Writing(dies_after=turns), tmp_path).run()
    probes = {
        record.completion.id
        for record in read_journal(tmp_path / "journal.jsonl")
        if isinstance(record, Landed) and record.completion.id.index
    }
    engine = Writing()
    await batch_of(engine, tmp_path).run()
    assert not probes & {request.id for request in engine.requests}, "no probe is paid for twice"
    chain = next(request for request in engine.requests if request.report_every)
    written = len(said(chain).split())
    assert written == (turns + 1) // 2, "the chain goes on where it last reported"
    record = finished(tmp_path)
    assert (record.answer, record.knob, record.tokens) == ("7", 6, 18), "as if it had not been killed"
    landed = [r.completion for r in read_journal(tmp_path / "journal.jsonl") if isinstance(r, Landed)]
    (whole,) = (completion for completion in landed if not completion.id.index)
    assert whole.finish is Finish.CANCELLED
    assert whole.tokens == 6


async def test_probes_that_fail_for_now_do_not_leave_the_program_for_a_resume(tmp_path: Path) -> None:
    batch = batch_of(Writing(probes_fail=True), tmp_path)
    await batch.run()
    assert batch.complete
    record = finished(tmp_path)
    assert (record.answer, record.failed_count, record.knob) == ("8", 8, 8), "the chain's own answer stands"
