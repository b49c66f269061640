"""The HTTP to a backend, byte for byte: what a client sent goes there, and what comes back is passed on as it comes.

It translates what goes wrong into `BackendFault`. It knows no program and no tenant, and waits without limit: whoever
asks sets the limit.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from yarl import URL

from dynasor.engines.endpoint import Timeouts
from dynasor.gateway.refusals import Refused

_KEEP_ALIVE_S = 2.0  # shorter than any server's
_LARGEST_BYTES = 64 << 20  # of an answer that is not streamed
_SHORTEST_SECRET = 8  # a shorter key ("EMPTY", "none") is a placeholder, and would black out common words
_PASSED_ON = frozenset(
    {
        *(b"content-type", b"retry-after", b"retry-after-ms", b"x-should-retry", b"x-request-id"),
        *(b"openai-processing-ms", b"x-session-id"),
    }
)


@dataclass(slots=True)
class BackendFault(Refused):
    """A backend could not be reached, or broke off. `why` is for its owner: clients are told no addresses."""

    why: str = ""


def unreachable(why: str) -> BackendFault:
    """No connection: it was not asked at all."""
    told = "the backend cannot be reached"
    return BackendFault(502, told, "backend_down", retry_after_s=1.0, why=f"{told}: {why}")


def broke_off(why: str) -> BackendFault:
    """It was asked, and its answer did not come, or ended in the midst."""
    told = "the backend broke off its answer"
    return BackendFault(502, told, "backend_broke_off", retry_after_s=1.0, why=f"{told}: {why}")


@dataclass(slots=True)
class Arrived:
    """The head of a backend's answer, and the means to read on.

    Attributes:
        headers: those that a client is to see.
        streams: whether it comes event by event.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    streams: bool
    _response: aiohttp.ClientResponse
    _secret: bytes

    async def whole(self) -> bytes:
        """The whole body; a refusal without the key, which some servers repeat.

        Raises:
            BackendFault: it broke off, or has no end.
        """
        pieces: list[bytes] = []
        size = 0
        while piece := await self.piece():
            pieces.append(piece)
            size += len(piece)
            if size > _LARGEST_BYTES:
                raise broke_off(f"its answer has more than {_LARGEST_BYTES} bytes")
            if self._response.content.at_eof():
                break
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return body if self.status < 400 or not self._secret else body.replace(self._secret, b"[key]")

    async def piece(self) -> bytes:
        """What has come, or comes next, of the body; nothing at its end.

        Raises:
            BackendFault: it broke off.
        """
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, OSError) as fault:
            raise broke_off(type(fault).__name__) from None

    def close(self) -> None:
        """Close the connection, unless the whole body was read."""
        if self._response.connection is not None:
            self._response.close()


class Upstream:
    """Asks one backend. `url` is its address with its version, such as `http://host:8000/v1`."""

    def __init__(self, url: str, key: str, timeouts: Timeouts) -> None:
        self.url = url
        self.key, self._connect_s = key, timeouts.connect_s
        self._secret = key.encode() if len(key) >= _SHORTEST_SECRET else b""
        self._paths: dict[str, URL] = {}
        self._open_session: aiohttp.ClientSession | None = None

    async def ask(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Arrived:
        """Ask, and return the answer's head. To cancel this is to close the connection.

        Args:
            method: of HTTP.
            path: below the version, such as `/models`; one of few.
            body: as it is sent.
            headers: beside the key's.

        Raises:
            BackendFault: the backend cannot be reached, or breaks off.
        """
        url = self._paths.get(path)
        if url is None:
            url = self._paths[path] = URL(self.url + path)
        try:
            session = self._open_session or self._opened()
            response = await session.request(method, url, data=body, headers=headers, allow_redirects=False)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as fault:
            raise unreachable(getattr(fault, "strerror", None) or type(fault).__name__) from None
        except (aiohttp.ClientError, OSError) as fault:
            raise broke_off(type(fault).__name__) from None
        passed = [(name, value) for name, value in response.raw_headers if name.lower() in _PASSED_ON]
        return Arrived(response.status, passed, response.content_type == "text/event-stream", response, self._secret)

    async def close(self) -> None:
        """Close all connections."""
        if self._open_session is not None:
            await self._open_session.close()

    def _opened(self) -> aiohttp.ClientSession:
        """Made when first needed, for it must be made inside the running loop."""
        key, connect_s = self.key, self._connect_s
        self._open_session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE_S),
            headers={"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {key}"} if key else {}),
            timeout=aiohttp.ClientTimeout(total=None, connect=connect_s, sock_connect=connect_s),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )
        return self._open_session
