"""Files are never in memory as a whole, neither as they come nor as they go."""

import re
from pathlib import Path

import pytest
from openai import AsyncOpenAI

from support.faulty_server import FaultyServer
from support.serve_process import serve

pytestmark = pytest.mark.slow
MIB = 1 << 20


def highest_bytes(process: int) -> int:
    """The most memory that a process has had."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    assert found is not None
    return int(found[1]) << 10


async def test_a_file_of_100_mib_takes_less_than_24_more(tmp_path: Path) -> None:
    content = b'{"custom_id": "x"}\n' * (100 * MIB // 19)
    told = ("--batch-store", f"sqlite:{tmp_path}/b.sqlite", "--log-format", "none")
    with FaultyServer() as backend:
        async with (
            serve("--backend", backend.url, *told) as gateway,
            AsyncOpenAI(base_url=f"http://127.0.0.1:{gateway.port}/v1", api_key="none", max_retries=0) as client,
        ):
            await client.files.create(file=("small.jsonl", content[:1000]), purpose="batch")
            before = highest_bytes(gateway.process.pid)
            file = await client.files.create(file=("large.jsonl", content), purpose="batch")
            assert file.bytes == len(content)
            size = 0
            async with client.files.with_streaming_response.content(file.id) as answer:
                async for piece in answer.iter_bytes():
                    size += len(piece)
            assert size == len(content)
            assert highest_bytes(gateway.process.pid) - before < 24 * MIB
