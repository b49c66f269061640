"""What a load generator is told to do, and what it tells when it is done: plain values that go between processes."""

from collections.abc import Sequence

import msgspec

CHAT = "/v1/chat/completions"
MODEL = "mock"


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """Requests to one address of this machine.

    Attributes:
        connections: requests at one time in a closed loop; connections that are ready in an open one.
        seconds: in which requests begin; those that have begun are waited for.
        rate: requests a second of an open loop, at random instants of a Poisson process; 0: a closed loop, where the
            end of one request is the start of the next.
        spread_s: in a closed loop, the connections begin evenly within so many seconds, as clients that know nothing of
            each other do; 0: all at once.
        stream: whether answers are streamed.
        mock: what the backend is told, as in `[[mock: tokens=16]]`.
        key: of the gateway; empty: none is sent.
        program: how `x-session-id` begins; empty: requests name no program.
        holds: every connection asks once, `seconds` count from when all have their first token, and then all leave.
        beats: `GET /health` a hundred times a second beside it: how long the gateway's event loop is away.
    """

    port: int
    connections: int = 50
    seconds: float = 2.0
    rate: float = 0.0
    spread_s: float = 0.0
    stream: bool = False
    mock: str = "tokens=16"
    model: str = MODEL
    key: str = ""
    program: str = ""
    holds: bool = False
    beats: bool = False
    seed: int = 0

    def request(self, number: int) -> bytes:
        """The bytes of a request on a connection."""
        text = f"How many apples are in a basket of twelve? [[mock: {self.mock}]]"
        body = msgspec.json.encode(
            {
                "model": self.model,
                "messages": [{"role": "user", "content": text}],
                "stream": self.stream,
                "temperature": 0.7,
            }
        )
        head = f"POST {CHAT} HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\ncontent-type: application/json\r\n"
        head += f"authorization: Bearer {self.key}\r\n" if self.key else ""
        head += f"x-session-id: {self.program}-{number}\r\n" if self.program else ""
        return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


class Seen(msgspec.Struct):
    """What has come to the mock backend; `active` of it has no whole answer yet, `aborted` never had."""

    requests: int = 0
    active: int = 0
    aborted: int = 0


class Spread(msgspec.Struct, frozen=True):
    """How values are spread; in milliseconds. All 0 where there are none."""

    p50: float = 0.0
    p99: float = 0.0
    most: float = 0.0


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it.

    Attributes:
        requests: that were answered in full, with 200; where they are held, that were begun so.
        failed: all others.
        fault: the first of these, in words.
        tokens: events of streams.
        seconds: from the first request to the last answer; where they are held, while all were.
        latency: from when a request was due to the end of its answer.
        first: to its first token.
        delay: from when the backend sent a token until it came.
        beat: of `GET /health`.
        cpu_s: of the generator itself: close to `seconds`, it is the bottleneck.
    """

    requests: int
    failed: int
    fault: str
    tokens: int
    seconds: float
    latency: Spread
    first: Spread
    delay: Spread
    beat: Spread
    cpu_s: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds if self.seconds else 0.0

    @property
    def token_rate(self) -> float:
        """Tokens a second."""
        return self.tokens / self.seconds if self.seconds else 0.0


def spread(seconds: Sequence[float]) -> Spread:
    """Of values in seconds."""
    if not seconds:
        return Spread()
    ranked = sorted(seconds)
    p50, p99 = (ranked[min(len(ranked) - 1, int(share * len(ranked)))] for share in (0.5, 0.99))
    return Spread(*(round(1e3 * value, 4) for value in (p50, p99, ranked[-1])))
