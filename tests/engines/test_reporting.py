import asyncio

import pytest

from dynasor.engines.outbox import Outbox
from dynasor.engines.reporting import Milestones
from dynasor.request import Completion, ProgramId, Report, RequestId

ID = RequestId(ProgramId("p"), 0)
REPORT, COMPLETION = Report(id=ID, text="so", tokens=1), Completion(id=ID)


@pytest.mark.parametrize(
    ("every", "tokens", "expected"),
    [
        (None, range(1, 9), []),
        (1, range(1, 5), [1, 2, 3, 4]),
        (3, range(1, 10), [3, 6, 9]),
        (3, [2, 2, 4, 5, 11, 12, 12, 14, 15], [4, 11, 12, 15]),
        (3, [0, 0, 3, 3], [3]),
    ],
)
def test_where_a_request_reports(every: int | None, tokens: list[int], expected: list[int]) -> None:
    milestones = Milestones(every)
    assert [count for count in tokens if milestones.passed(count)] == expected


@pytest.mark.parametrize("what", ["report", "completion", "end"])
async def test_who_waits_is_woken_by(what: str) -> None:
    outbox = Outbox()
    waiting = asyncio.create_task(outbox.ready())
    await asyncio.wait([waiting], timeout=0)
    assert not waiting.done()
    if what == "report":
        outbox.report(REPORT)
    elif what == "completion":
        outbox.put(COMPLETION)
    else:
        outbox.close()
    ended = await asyncio.wait_for(waiting, 5)
    again = asyncio.create_task(outbox.ready())
    await asyncio.wait([again], timeout=0)
    assert again.done() == (what == "end"), "the same news twice"
    again.cancel()
    assert ended == ([COMPLETION] if what == "completion" else [])
    assert outbox.take_reports() == ([REPORT] if what == "report" else [])


async def test_what_is_there_is_given_without_waiting_and_once() -> None:
    outbox = Outbox()
    outbox.put(COMPLETION)
    outbox.close()
    outbox.put(COMPLETION)
    assert len(await outbox.ready()) == 2
    assert await outbox.ready() == []
