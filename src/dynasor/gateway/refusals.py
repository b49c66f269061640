"""What a client is told that gets no answer: a status, and a body in the form of OpenAI's errors.

It knows no route and no socket. Whatever is raised on the way to an answer becomes one of these.
"""

from dataclasses import dataclass
from math import ceil

import msgspec

from dynasor.errors import DynasorError, EngineError, UsageError

_NO_RETRY = (b"x-should-retry", b"false")  # OpenAI's clients obey it


@dataclass(slots=True)
class Refused(Exception):
    """A request that is not answered.

    Attributes:
        status: of HTTP.
        told: one line: what is wrong, and the mend.
        code: for machines, such as "invalid_api_key".
        param: the field that is at fault.
        retry_after_s: when to come again; None where coming again is of no use, or nobody knows.
    """

    status: int
    told: str
    code: str | None = None
    param: str | None = None
    retry_after_s: float | None = None

    def __str__(self) -> str:
        return self.told

    @property
    def kind(self) -> str:
        """OpenAI's word for errors of this status."""
        return _KINDS.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")

    def body(self) -> bytes:
        """OpenAI's form of an error."""
        told = {"message": self.told, "type": self.kind, "param": self.param, "code": self.code}
        return msgspec.json.encode({"error": told})

    def event(self) -> bytes:
        """The same, as the last event of a stream that has begun."""
        return b"data: " + self.body() + b"\n\n"

    def headers(self) -> list[tuple[bytes, bytes]]:
        """When to come again, if ever."""
        if self.retry_after_s is not None:
            return [
                (b"retry-after", str(max(1, ceil(self.retry_after_s))).encode()),
                (b"retry-after-ms", str(max(1, ceil(1000 * self.retry_after_s))).encode()),
            ]
        return [] if self.status >= 500 else [_NO_RETRY]


_KINDS = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


def refusal_of(fault: DynasorError) -> Refused:
    """What a client is told of an error of ours: a caller's is 400, the world's 502, or 503 where it may pass."""
    if isinstance(fault, UsageError):
        return Refused(400, str(fault))
    if isinstance(fault, EngineError):
        return Refused(503 if fault.retryable else 502, str(fault), retry_after_s=fault.retry_after_s)
    return Refused(500, str(fault))
