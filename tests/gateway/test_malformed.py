"""Ten thousand malformed requests against the real process: each is refused or answered, and nothing else happens."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest

from dynasor.bench.gateway_processes import mock
from dynasor.clock import WallClock
from support.gateways import KEY
from support.malformed import Malformed, malformed
from support.raw_http import Answer, ask, completion, read_answer, request
from support.serve_thread import Served, served

pytestmark = pytest.mark.slow
COUNT, AT_ONCE, WARM_UP = 10_000, 20, 1000
LONGEST_S = 60.0
GROWTH_MIB = 24.0  # of 10,000 bodies, the longest of which has a hundred thousand bytes


@asynccontextmanager
async def keyed(folder: Path) -> AsyncIterator[Served]:
    async with mock(None) as port:
        options = ("--log-format", "json", "--batch-store", f"sqlite:{folder}/batches.sqlite")
        with served(
            folder / "log", "--backend", f"http://127.0.0.1:{port}/v1", *options, environ={"DYNASOR_API_KEY": KEY}
        ) as gateway:
            yield gateway


async def answered(port: int, sent: Malformed) -> Answer | None:
    """What is answered; None where the connection was closed instead, as it may be behind what is not whole."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent.sent)
        if not sent.is_whole:
            writer.write_eof()
        async with asyncio.timeout(LONGEST_S):
            return await read_answer(reader)
    except (ConnectionError, asyncio.IncompleteReadError, ValueError, IndexError):
        assert not sent.is_whole, (sent.kind, sent.sent[:500])
        return None
    finally:
        writer.transport.abort()


async def storm(port: int, seed: int, count: int) -> Counter[tuple[str, int]]:
    """Send so many, and judge every answer; returns how many of each kind had which status."""
    rng, found = Random(seed), Counter[tuple[str, int]]()
    waiting = iter([malformed(rng, authorization=f"Bearer {KEY}") for _ in range(count)])

    async def work() -> None:
        for sent in waiting:
            answer = await answered(port, sent)
            if answer is not None:
                judge(sent, answer)
            found[sent.kind, 0 if answer is None else answer.status] += 1

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return found


def judge(sent: Malformed, answer: Answer) -> None:
    told = (sent.kind, answer.status, answer.body[:500], sent.sent[:1500])
    assert answer.status < 500, told
    assert b"Traceback" not in answer.body, told
    assert b'File "' not in answer.body, told
    assert b"/dynasor/" not in answer.body, told
    if answer.status >= 400:
        assert answer.error["message"], told


async def test_ten_thousand_malformed_requests_do_no_harm(tmp_path: Path) -> None:
    clock = WallClock()
    async with keyed(tmp_path) as gateway:
        await storm(gateway.port, 0, WARM_UP)
        before = gateway.memory_mib, gateway.descriptors
        began = clock.now()
        found = await storm(gateway.port, 1, COUNT)
        assert clock.now() - began < 30 * LONGEST_S
        assert gateway.memory_mib - before[0] < GROWTH_MIB
        assert gateway.process.poll() is None
        sound = await ask(gateway.port, completion(b'{"model":"mock","messages":[]}', authorization=f"Bearer {KEY}"))
        assert sound.status == 200
        assert (await ask(gateway.port, request("GET", "/health"))).status == 200
        assert gateway.descriptors < before[1] + 30
        lines = [json.loads(line) for line in gateway.written.splitlines() if line.startswith("{")]
    assert sum(found.values()) == COUNT
    statuses = Counter(status for (_, status), number in found.items() for _ in range(number))
    assert {200, 400, 404, 431} <= statuses.keys()
    assert all(found.get((kind, 400)) for kind in {kind for kind, _ in found} - {"forms", "request lines"})
    assert [line for line in lines if line["level"] == "error"] == []
    assert "Traceback" not in "".join(map(str, lines))
