"""Questions put to a server in its own words, past the engines that are tested against it."""

from typing import Any
from urllib.request import Request, urlopen

import msgspec


def post(url: str, body: object) -> Any:
    """Send JSON and read JSON. It blocks: in a coroutine, call it by `asyncio.to_thread`."""
    request = Request(url, msgspec.json.encode(body), {"Content-Type": "application/json"})
    with urlopen(request, timeout=30) as response:
        return msgspec.json.decode(response.read())
