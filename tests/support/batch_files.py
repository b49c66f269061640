"""Files of requests for batches, and what comes back in them."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
from openai import AsyncOpenAI
from openai.types import Batch

from dynasor.clock import WallClock
from support.gateways import GatewayHere

CHAT = "/v1/chat/completions"


def line(custom_id: str, content: str = "1 + 1?", url: str = CHAT, **body: Any) -> dict[str, Any]:
    """One request."""
    asked: dict[str, Any] = {"model": "tiny", "messages": [{"role": "user", "content": content}]} | body
    if url != CHAT:
        asked["prompt"] = asked.pop("messages")[0]["content"]
    return {"custom_id": custom_id, "method": "POST", "url": url, "body": asked}


def jsonl(lines: Iterable[Any]) -> bytes:
    """A file of lines; those that are bytes as they are."""
    return b"".join((told if isinstance(told, bytes) else msgspec.json.encode(told)) + b"\n" for told in lines)


def read_jsonl(content: bytes) -> list[dict[str, Any]]:
    """The lines of a file."""
    return [msgspec.json.decode(told) for told in content.splitlines()]


def store_of(folder: Path) -> str:
    """A store in SQLite."""
    return f"sqlite:{folder}/batches.sqlite"


def client_of(here: GatewayHere, key: str = "none") -> AsyncOpenAI:
    """OpenAI's client of a gateway; a context."""
    return AsyncOpenAI(base_url=f"{here.url}/v1", api_key=key, max_retries=0)


async def begun(client: AsyncOpenAI, lines: Iterable[Any], endpoint: Any = CHAT, **more: Any) -> Batch:
    """A batch of such lines."""
    file = await client.files.create(file=("requests.jsonl", jsonl(lines)), purpose="batch")
    return await client.batches.create(
        input_file_id=file.id, endpoint=endpoint, **({"completion_window": "24h"} | more)
    )


async def followed(client: AsyncOpenAI, id: str, until: Callable[[Batch], bool], limit_s: float = 60.0) -> Batch:
    """A batch, as soon as it is so."""
    clock = WallClock()
    deadline = clock.now() + limit_s
    while not until(batch := await client.batches.retrieve(id)):
        assert clock.now() < deadline, batch
        await clock.sleep(0.01)
    return batch


async def ended(client: AsyncOpenAI, id: str, limit_s: float = 60.0) -> Batch:
    """A batch at its end."""
    over = ("completed", "failed", "expired", "cancelled")
    return await followed(client, id, lambda batch: batch.status in over, limit_s)


async def lines_of(client: AsyncOpenAI, file: str | None) -> list[dict[str, Any]]:
    """The lines of an output; none where there is none."""
    return [] if file is None else read_jsonl((await client.files.content(file)).content)
