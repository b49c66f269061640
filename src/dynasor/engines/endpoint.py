"""Where a live engine finds its server, and how it treats it. Settings only: nothing here sends or waits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, get_args
from urllib.parse import urlsplit

from dynasor.engines.retrying import RetryPolicy
from dynasor.errors import UsageError

Api = Literal["chat", "completions", "auto"]
Priority = Literal["none", "vllm", "vllm-plugin", "sglang", "sglang-low-first", "sglang-plugin", "trtllm"]
PRIORITIES: Final = get_args(Priority)

_RESERVED = frozenset({"model", "prompt", "messages", "stream", "n", "best_of", "echo"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Limits in seconds.

    Attributes:
        connect_s: to open a connection.
        first_token_s: from sending to the first token of a streamed answer; it includes the server's own queue.
        idle_s: between two tokens of a streamed answer.
        total_s: to the end of the answer. A request that took as long is not sent again, for it would do so again.
    """

    connect_s: float = 5.0
    first_token_s: float = 300.0
    idle_s: float = 60.0
    total_s: float = 1800.0

    def __post_init__(self) -> None:
        if min(self.connect_s, self.first_token_s, self.idle_s, self.total_s) <= 0:
            raise UsageError(f"a timeout must be more than 0 seconds: {self}")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server, and how to speak with it.

    Attributes:
        url: with or without `/v1`.
        model: None: the one model that the server has.
        api: "auto" sends text to `/completions` and conversations to `/chat/completions`.
        stream: without it, the tokens of a cancelled request are unknown.
        api_key_variable: the environment variable that holds the key; where it is unset, no key is sent.
        extra_body: fields added to every request's body, over those that the request itself gives.
        max_connections: requests at the server at one time; others wait their turn here.
        priority: whose field `priority` a request carries, so that the server starts the shortest programs first:
            "vllm" (the lowest first), "sglang" (the highest first), "sglang-low-first" (of a server that was started
            with --schedule-low-priority-values-first), "trtllm" (the highest first, between 0 and 1), or "none".
            "vllm-plugin" and "sglang-plugin" send no such field: they name the program and what it needs yet to a
            server that runs `dynasor.vllm_plugin` or `dynasor.sglang_plugin`, which orders by that and more.
    """

    url: str
    model: str | None = None
    api: Api = "auto"
    stream: bool = True
    api_key_variable: str = "OPENAI_API_KEY"
    timeouts: Timeouts = Timeouts()
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    extra_body: Mapping[str, object] = field(default_factory=dict)
    max_connections: int = 256
    priority: Priority = "none"

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", _with_version(self.url))
        if self.api not in ("chat", "completions", "auto"):
            raise UsageError(f"unknown api '{self.api}' (known: auto, chat, completions)")
        if self.priority not in PRIORITIES:
            raise UsageError(f"unknown priority '{self.priority}' (known: {', '.join(PRIORITIES)})")
        if self.max_connections < 1:
            raise UsageError(f"max_connections is {self.max_connections}; it must be 1 or more")
        if reserved := sorted(_RESERVED & self.extra_body.keys()):
            raise UsageError(f"extra_body may not set '{reserved[0]}': the engine itself does")


def _with_version(url: str) -> str:
    """Check an address and end it in `/v1`, unless its path names a version already."""
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound:
        raise UsageError(f"'{url}' is not the address of a server; give one such as http://localhost:8000/v1")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise UsageError(f"the address of {parts.hostname} may hold no user, password, query or fragment")
    path = parts.path.rstrip("/").removesuffix("/completions").removesuffix("/chat")
    versioned = any(step[:1] == "v" and step[1:2].isdigit() for step in path.split("/"))
    return f"{parts.scheme}://{parts.netloc}{path}" + ("" if versioned else "/v1")
