"""Requests that no client should send, drawn from a seed: broken JSON, wrong types, bombs, lies about lengths."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import msgspec

from support.raw_http import request

CHAT = "/v1/chat/completions"
_PATHS = (CHAT, "/v1/completions", "/v1/batches", "/v1/files", "/v1/programs/p/close", "/v1/models", "/nowhere")
_SOUND: dict[str, Any] = {
    "model": "mock",
    "messages": [{"role": "user", "content": "1 + 1?"}],
    "stream": False,
    "n": 1,
    "max_tokens": 16,
    "program_id": "p",
    "dynasor": {"algorithm": "sc", "cap": 2, "policy": "even"},
}
_ODD: tuple[bytes, ...] = (
    *(b"null", b"true", b"0", b"-1", b"1e400", b"-0.0", b"NaN", b"Infinity", b'""', b"[]", b"{}", b"[[]]", b"[null]"),
    *(b"1" * 400, b"-" + b"9" * 5000, b"0." + b"0" * 3000 + b"1", b"18446744073709551616", b"1E+2147483648"),
    *(b'"\\ud800"', b'"\\udfff\\ud800"', b'"\\u0000"', b'"\xed\xa0\x80"', b'"\xff"', b'"\xc0\x80"', b'"\x00"', b'"\n"'),
    *(b'{"a":' * 70 + b"1" + b"}" * 70, b'"' + b"x" * 70_000 + b'"', b'["a",1,{"b":[2]}]', b'"../../etc/passwd"'),
    *(
        b'"sc:cap=999999999"',
        b'"mock@mcts:parallel=0"',
        b'"mock@sc:' + b"a=1," * 50 + b'"',
        b'"@"',
        b'"@sc"',
        b'"a@b@c"',
    ),
    *(b'"{}{}%s%n$(id)`id`"', b'"\xe2\x80\xae\xf0\x9f\x92\xa9"', b'{"\\ud800": 1}', b'{"a":1,"a":2}'),
)
_FIELDS = (
    *("model", "messages", "prompt", "stream", "n", "best_of", "max_tokens", "max_completion_tokens", "program_id"),
    *(
        "session_id",
        "vllm_xargs",
        "dynasor",
        "adaptive_compute",
        "reasoning_effort",
        "response_format",
        "tools",
        "stop",
    ),
    *("temperature", "top_p", "seed", "stream_options", "logit_bias", "input_file_id", "endpoint", "completion_window"),
)
_OURS = (
    *("algorithm", "cap", "policy", "scorer", "in_flight", "deadline_s", "refuse_late", "token_budget", "settings"),
    *("alternatives", "progress", "saving_effort", "probe_interval", "certainty_window", "program_id", "unheard_of"),
)
_HEADERS = (
    *("x", "x_session_id", "x_dynasor_program_id", "x_dynasor_deadline_s", "authorization", "host", "content_type"),
    *("transfer_encoding", "expect", "connection", "upgrade", "traceparent", "x y", "x(z)"),
)
_ODD_PATHS = (
    *("//v1/models", "*", "/v1/models/%00", "/v1/files/..%2f..", "/v1/batches/'--", "/v1/programs/\xff", "", " "),
    *("http://evil/v1/models", "/v1/files?limit=-1&after=%ff", "/v1/batches?limit=%d9%a3", "/dashboard/../x"),
)


@dataclass(frozen=True)
class Malformed:
    """One request.

    Attributes:
        kind: what is wrong with it.
        sent: the bytes.
        is_whole: whether an answer must come; else the connection is closed behind it, and may be closed without one.
    """

    kind: str
    sent: bytes
    is_whole: bool = True


def malformed(rng: Random, **headers: str) -> Malformed:
    """Draw one."""
    kind = rng.choice(list(_KINDS))
    return _KINDS[kind](rng, kind, headers)


def _sound(rng: Random) -> bytes:
    return msgspec.json.encode({**_SOUND, "stream": rng.random() < 0.5})


def _posted(rng: Random, kind: str, body: bytes, headers: dict[str, str], path: str = CHAT) -> Malformed:
    return Malformed(kind, request("POST", path, body, **{"content_type": "application/json", **headers}))


def _broken(rng: Random, kind: str, headers: dict[str, str]) -> Malformed:
    body = bytearray(_sound(rng))
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(body))
        body[at : at + rng.randrange(4)] = rng.randbytes(rng.randrange(4))
    return _posted(rng, kind, bytes(body), headers, rng.choice(_PATHS))


def _cut(rng: Random, kind: str, headers: dict[str, str]) -> Malformed:
    body = _sound(rng)
    return _posted(rng, kind, body[: rng.randrange(len(body))], headers, rng.choice(_PATHS))


def _typed(rng: Random, kind: str, headers: dict[str, str]) -> Malformed:
    body = b'{"model":"mock","messages":[{"role":"user","content":"2"}],"%b":%b}'
    filled = body % (rng.choice(_FIELDS).encode(), rng.choice(_ODD))
    return _posted(rng, kind, filled, headers, rng.choice(_PATHS[:4]))


def _reasoned(rng: Random, kind: str, headers: dict[str, str]) -> Malformed:
    told = b'{"model":"mock","messages":[{"role":"user","content":"2"}],"dynasor":{"cap":2,"%b":%b}}'
    return _posted(rng, kind, told % (rng.choice(_OURS).encode(), rng.choice(_ODD)), headers)


def _messaged(rng: Random, kind: str, headers: dict[str, str]) -> Malformed:
    field, suffix = rng.choice((b"role", b"content", b"tool_calls", b"name")), rng.choice((b"", b"@sc:cap=2"))
    body = b'{"model":"mock%b","messages":[{"role":"user","content":"2","%b":%b}]}'
    return _posted(rng, kind, body % (suffix, field, rng.choice(_ODD)), headers)


def _deep(rng: Random, kind: str, headers: dict[str, str]) -> Malformed:
    depth = rng.choice((63, 64, 65, 66, 1000, 20_000))
    start, end = rng.choice(((b"[", b"]"), (b'{"a":', b"}"), (b"[{}, ", b"]")))
    return _posted(rng, kind, b'{"model":"mock","x":' + start * depth + b"1" + end * depth + b"}", headers)


def _chunked(rng: Random, kind: str, headers: dict[str, str]) -> Malformed:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n{lines}\r\n".encode()
    piece = b"10\r\n" + b" " * 16 + b"\r\n"
    ends = (b"", b"ff\r\n{", b"zz\r\n", b"-1\r\n", b"0\r\n", b"ffffffffffffffffff\r\n", b"5;x=" + b"y" * 200, b"\r\n")
    return Malformed(kind, head + piece * rng.randrange(4) + rng.choice(ends), is_whole=False)


def _lying(rng: Random, kind: str, headers: dict[str, str]) -> Malformed:
    body = _sound(rng)
    length = rng.choice(("1", str(len(body) - 1), str(len(body) + 9), "-5", "abc", "1e3", "9" * 30, "0x10", "+7", " "))
    return Malformed(kind, request("POST", CHAT, body, **headers | {"content_length": length}), is_whole=False)


def _headed(rng: Random, kind: str, headers: dict[str, str]) -> Malformed:
    value = rng.choice(("y" * 17_000, "y" * 8000, "\x01", "\xff\xfe\xe9", "a: b", "\x7f", "() { :; }", "%0d%0a", ""))
    name = rng.choice(_HEADERS)
    sound = request("POST", CHAT, _sound(rng), **{**headers, name: value})
    return Malformed(kind, sound, is_whole=False)


def _lined(rng: Random, kind: str, headers: dict[str, str]) -> Malformed:
    method = rng.choice(("GET", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW", "get", "\x00", ""))
    path = rng.choice(_ODD_PATHS)
    return Malformed(kind, request(method, path, b"", **headers), is_whole=False)


def _formed(rng: Random, kind: str, headers: dict[str, str]) -> Malformed:
    sort = rng.choice(("multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=b",
                       "multipart/form-data; boundary=" + "b" * 300, "text/plain"))  # fmt: skip
    part = b'--b\r\nContent-Disposition: form-data; name="%b"; filename="%b"\r\n\r\n%b\r\n'
    body = b"".join(
        part
        % (
            rng.choice((b"file", b"purpose", b"\xff", b"")),
            rng.choice((b"x", b"../x", b"\x00", b'"')),
            rng.randbytes(9),
        )
        for _ in range(rng.randrange(4))
    )
    return _posted(rng, kind, body + rng.choice((b"--b--", b"--b", b"")), headers | {"content_type": sort}, "/v1/files")


_KINDS: dict[str, Callable[[Random, str, dict[str, str]], Malformed]] = {
    "broken": _broken, "cut": _cut, "wrong types": _typed, "wrong reasoning": _reasoned, "wrong messages": _messaged,
    "deep": _deep, "chunks": _chunked, "lengths": _lying, "headers": _headed, "request lines": _lined, "forms": _formed,
}  # fmt: skip
