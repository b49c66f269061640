"""The HTTP of one server. Whatever goes wrong there leaves here as an `EngineError` or a `UsageError`.

The one place that knows aiohttp, and where its exceptions are translated. They are never chained to ours: some of them
hold the request's headers, and with them the key. It knows nothing of retries.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Protocol

import aiohttp
import msgspec

from dynasor.clock import utc_timestamp
from dynasor.engines.endpoint import Endpoint
from dynasor.engines.openai_wire import Refusal, model_names, one_line, refused
from dynasor.engines.retrying import NOT_IN_THIS_RUN_S, asked_wait_s, http_date
from dynasor.engines.sse import EventParser
from dynasor.errors import EngineError, UnknownName, UsageError

LONGEST_ERROR = 300  # characters
_KEEP_ALIVE_S = 2.0  # shorter than any server's: a connection that the server closes as we write to it costs a retry
_LAST_BYTES_S = 0.1  # between the stream's own end and the connection's; after that the connection is given up
_ERROR_BODY_BYTES = 64 << 10
_SHORTEST_SECRET = 8  # a shorter key ("EMPTY", "none") is a placeholder, and would black out common words


class Reading(Protocol):
    """What an answer is read into, event by event or as a whole."""

    @property
    def begun(self) -> bool:
        """Whether a token has come."""
        ...

    @property
    def done(self) -> bool:
        """Whether it has told its own end."""
        ...

    def read(self, payload: bytes) -> None:
        """Take in the data of one event, or a whole body."""
        ...

    def end(self) -> None:
        """Check that nothing is missing."""
        ...


class OpenAIServer:
    """Asks one server, over a pool of connections."""

    def __init__(self, endpoint: Endpoint, key: str) -> None:
        if not (key.isascii() and key.isprintable()):
            raise UsageError(f"${endpoint.api_key_variable} holds a character that no HTTP header may hold")
        self._endpoint = endpoint
        self._key = key
        self._open_session: aiohttp.ClientSession | None = None

    async def models(self) -> tuple[str, ...] | None:
        """The models that the server has; None where it does not tell.

        Raises:
            UsageError: nobody answers, or the key is refused.
            EngineError: the server is out of order.
        """
        url = self._endpoint.url
        try:
            async with (
                asyncio.timeout(self._endpoint.timeouts.idle_s),
                self._session.get(f"{url}/models", allow_redirects=False) as response,
            ):
                if response.status in (404, 405):
                    return None
                if response.status != 200:
                    raise self._unfit(await _refusal(response))
                return model_names(await response.read())
        except msgspec.DecodeError:
            raise EngineError(f"{url}/models does not list models; is it an OpenAI server?", retryable=False) from None
        except (aiohttp.ClientError, OSError) as fault:
            raise UsageError(f"cannot reach {url}: {_why(fault)}; is the server running?") from None

    async def chosen_model(self) -> str | None:
        """The model to ask: the one that the endpoint names, else the only one there is; None where nobody tells.

        Raises:
            UsageError: nobody answers, the key is refused, or there are several models and none is named.
            UnknownName: there is no such model.
            EngineError: the server is out of order.
        """
        wanted, known = self._endpoint.model, await self.models()
        if not known:
            return wanted
        names = [name for name in known if name.rpartition("@")[0] not in known]  # NAME@ALGORITHM: a gateway's
        if wanted is None and len(names) > 1:
            raise UsageError(f"{self._endpoint.url} has {len(names)} models; name one of them: {', '.join(names)}")
        if wanted is not None and wanted not in known:
            raise UnknownName("model", wanted, known)
        return wanted or names[0]

    async def ask(self, path: str, body: bytes, answer: Reading, headers: Mapping[str, str] | None = None) -> None:
        """Send a request, with further headers, and read its answer into `answer`. To cancel this is to hang up.

        Raises:
            EngineError: the answer did not come, or not as a whole.
        """
        timeouts = self._endpoint.timeouts
        first_token_s = timeouts.first_token_s if self._endpoint.stream else None
        try:
            async with (
                asyncio.timeout(timeouts.total_s) as total,
                asyncio.timeout(first_token_s) as patience,
                self._session.post(
                    self._endpoint.url + path, data=body, headers=headers, allow_redirects=False
                ) as response,
            ):
                if response.status != 200:
                    raise await _refusal(response)
                await self._read(response, answer, patience)
        except TimeoutError as fault:
            if total.expired():
                told = f"the answer took more than {timeouts.total_s:g} s"
                raise EngineError(told, retryable=True, retry_after_s=NOT_IN_THIS_RUN_S) from None
            if patience.expired():
                raise EngineError(self._stalled(answer), retryable=True) from None
            raise EngineError(_why(fault), retryable=True) from None
        except msgspec.DecodeError as fault:
            raise EngineError(f"the answer is not valid: {fault}", retryable=True) from None
        except (aiohttp.ClientError, OSError) as fault:
            raise EngineError(_why(fault), retryable=True) from None

    def redacted(self, told: str) -> str:
        """Make a safe line of a server's words: without the key, which some servers repeat, and not too long."""
        if len(self._key) >= _SHORTEST_SECRET:
            told = told.replace(self._key, "[key]")
        return one_line(told)[:LONGEST_ERROR]

    async def close(self) -> None:
        """Close all connections."""
        if self._open_session is not None:
            await self._open_session.close()

    @property
    def _session(self) -> aiohttp.ClientSession:
        """Made when first needed, for it must be made inside the running loop."""
        if self._open_session is None:
            connect_s = self._endpoint.timeouts.connect_s
            headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
            self._open_session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._endpoint.max_connections, keepalive_timeout=_KEEP_ALIVE_S),
                headers=headers | ({"Authorization": f"Bearer {self._key}"} if self._key else {}),
                timeout=aiohttp.ClientTimeout(total=None, connect=connect_s, sock_connect=connect_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        return self._open_session

    async def _read(self, response: aiohttp.ClientResponse, answer: Reading, patience: asyncio.Timeout) -> None:
        if not self._endpoint.stream or response.content_type == "application/json":
            answer.read(await response.read())
            answer.end()
            return
        loop, idle_s = asyncio.get_running_loop(), self._endpoint.timeouts.idle_s
        events = EventParser()
        async for piece in response.content.iter_any():
            for event in events.feed(piece):
                answer.read(event)
            if answer.done:
                break
            if answer.begun:
                patience.reschedule(loop.time() + idle_s)
        for event in events.finish():
            answer.read(event)
        answer.end()
        await _let_end(response)

    def _stalled(self, answer: Reading) -> str:
        timeouts = self._endpoint.timeouts
        if answer.begun:
            return f"the answer stalled: no more of it for {timeouts.idle_s:g} s"
        return f"the answer did not begin within {timeouts.first_token_s:g} s"

    def _unfit(self, refusal: Refusal) -> UsageError | EngineError:
        url, variable = self._endpoint.url, self._endpoint.api_key_variable
        if refusal.status in (401, 403):
            return UsageError(f"{url} refuses the key ({refusal.status}); put a valid one into ${variable}")
        return EngineError(self.redacted(f"{url}/models: {refusal}"), retryable=refusal.retryable)


async def _refusal(response: aiohttp.ClientResponse) -> Refusal:
    body = b""
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > _ERROR_BODY_BYTES:
            break
    # By the server's own clock where it tells, for that is the one which its Retry-After is meant by.
    now = http_date(response.headers.get("date", "")) or datetime.fromisoformat(utc_timestamp())
    return refused(response.status, response.reason or "", body, asked_wait_s(response.headers, now))


async def _let_end(response: aiohttp.ClientResponse) -> None:
    """Read the last bytes of a finished stream, so that its connection can serve again."""
    with suppress(TimeoutError, aiohttp.ClientError):
        async with asyncio.timeout(_LAST_BYTES_S):
            while not response.content.at_eof():
                await response.content.readany()


def _why(fault: Exception) -> str:
    return one_line(str(fault)) or type(fault).__name__
