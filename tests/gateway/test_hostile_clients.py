"""What clients send that they should not: it is refused at once and in one form, and holds nothing."""

import logging
from collections.abc import AsyncIterator
from contextlib import suppress

import msgspec
import pytest

from support.gateways import QUESTION, GatewayHere, Recorder, gateway, serving_at
from support.live_engine import until
from support.raw_http import ask, completion, read_answer, request

LIMITS = {"body_bytes": 20_000, "header_bytes": 4096, "json_depth": 64}
HASTY = LIMITS | {"header_s": 0.05, "body_s": 0.05}


@pytest.fixture
async def backend() -> AsyncIterator[tuple[str, Recorder]]:
    recorder = Recorder()
    async with serving_at(recorder.app()) as url:
        yield url, recorder


@pytest.fixture
async def here(backend: tuple[str, Recorder]) -> AsyncIterator[GatewayHere]:
    async with gateway(backend[0], limits=LIMITS) as here:
        yield here


@pytest.fixture
async def hasty(backend: tuple[str, Recorder]) -> AsyncIterator[GatewayHere]:
    async with gateway(backend[0], limits=HASTY) as here:
        yield here


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b"[1, 2]", "invalid_value"),
        (b"null", "invalid_value"),
        (b'"text"', "invalid_value"),
        (b"\xff\xfe{}", "invalid_json"),
        (b'{"model": "\xff"}', "invalid_json"),
        (b'{"model": 7}', "invalid_value"),
        (b'{"stream": "yes"}', "invalid_value"),
        (b'{"messages": {}}', "invalid_value"),
        (b'{"n": 0}', "invalid_value"),
        (b'{"n": 1000000000}', "limit_exceeded"),
        (b'{"n": 1e400}', "invalid_value"),
        (b'{"best_of": 129}', "limit_exceeded"),
        (b'{"max_tokens": 1000000000}', "limit_exceeded"),
        (b'{"max_completion_tokens": 1000000000}', "limit_exceeded"),
        (b'{"prompt": ["a","b","c"], "n": 50}', "limit_exceeded"),
        (b'{"messages": [' + b"{}," * 3000 + b"{}]}", "limit_exceeded"),
        (b'{"x": ' + b"[" * 65 + b"]" * 65 + b"}", "too_deep"),
        (b'{"x": ' + b'{"a":' * 80 + b"1" + b"}" * 80 + b"}", "too_deep"),
        (b'{"x": ' + b"[" * 9000 + b"]" * 9000 + b"}", "too_deep"),
        (b'{"model": "tiny", "messages": [{"role": "\xff"}]}', "invalid_json"),
        (b'{"model": "tiny@sc", "messages": [{"role": "user", "content": "\xed\xa0\x80"}]}', "invalid_json"),
        (b'{"model": "tiny@sc", "messages": [{"role": "user", "content": 1e400}]}', "invalid_value"),
        (b'{"model": "tiny@sc", "messages": [{"role": "user", "x": ' + b"9" * 5000 + b"}]}", "invalid_value"),
        (
            b'{"model": "tiny@sc", "messages": [{"role": "user", "content": "2"}], "dynasor": {"token_budget": '
            + b"1" * 400
            + b"}}",
            "invalid_value",
        ),
        (b'{"program_id": "../etc"}', "invalid_value"),
        (b'{"program_id": ""}', "invalid_value"),
        (msgspec.json.encode({"program_id": "x" * 129}), "invalid_value"),
    ],
)
async def test_a_body_that_asks_too_much_or_nothing_is_400(
    here: GatewayHere, backend: tuple[str, Recorder], body: bytes, code: str
) -> None:
    answer = await ask(here.port, completion(body))
    assert (answer.status, answer.error["code"]) == (400, code)
    assert answer.headers["x-should-retry"] == "false"
    assert backend[1].requests == []


async def test_brackets_in_texts_are_no_depth(here: GatewayHere) -> None:
    text = '[[[{{{"\\' * 40 + "]" * 90
    answer = await ask(here.port, completion({"model": "tiny", "messages": [{"role": "user", "content": text}]}))
    assert answer.status == 200
    flat = {"model": "tiny", "messages": [{"role": "user", "content": [{"type": "text"}]}] * 100}
    assert (await ask(here.port, completion(flat))).status == 200


async def test_a_long_body_is_refused_before_it_has_come(here: GatewayHere) -> None:
    reader, writer = await here.connect()
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 24000000\r\n\r\n{")
    answer = await read_answer(reader)
    assert (answer.status, answer.error["code"], answer.headers["connection"]) == (413, "request_too_large", "close")
    writer.close()
    await until(lambda: not here.serving.gateway.open)


async def test_a_client_that_sends_all_of_a_long_body_reads_why_it_was_refused(here: GatewayHere) -> None:
    answer = await ask(here.port, completion(b" " * 2_000_000))
    assert answer.status == 413


async def test_a_body_without_end_is_refused_at_the_limit(here: GatewayHere) -> None:
    reader, writer = await here.connect()
    writer.write(b"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n")
    for _ in range(30):
        writer.write(b"400\r\n" + b" " * 1024 + b"\r\n")
    assert (await read_answer(reader)).status == 413
    writer.close()


async def test_headers_that_are_too_large_are_431(here: GatewayHere) -> None:
    assert (await ask(here.port, completion(QUESTION, x="y" * 5000))).error["code"] == "headers_too_large"
    assert (await ask(here.port, request("GET", "/" + "x" * 5000))).status == 431
    many = {f"x{number}": "y" for number in range(2000)}
    assert (await ask(here.port, completion(QUESTION, **many))).status == 431


async def test_headers_without_end_are_431(here: GatewayHere) -> None:
    reader, writer = await here.connect()
    writer.write(b"GET /health HTTP/1.1\r\nx: ")
    for _ in range(6):
        writer.write(b"y" * 1000)
        await writer.drain()
    assert (await read_answer(reader)).status == 431
    writer.close()


async def test_a_client_that_sends_a_byte_at_a_time_is_given_up(hasty: GatewayHere) -> None:
    reader, writer = await hasty.connect()
    writer.write(b"GET /hea")
    answer = await read_answer(reader)
    assert (answer.status, answer.error["code"]) == (408, "request_timeout")
    assert await reader.read() == b""
    silent, _ = await hasty.connect()
    assert (await read_answer(silent)).status == 408


async def test_a_second_request_that_does_not_end_is_given_up_too(hasty: GatewayHere) -> None:
    reader, writer = await hasty.connect()
    writer.write(request("GET", "/health") + b"GET /health HTTP/1.1\r\n")
    assert (await read_answer(reader)).status == 200
    assert (await read_answer(reader)).status == 408


async def test_a_body_that_comes_too_slowly_is_given_up(hasty: GatewayHere) -> None:
    reader, writer = await hasty.connect()
    writer.write(completion(QUESTION)[:-1])
    assert (await read_answer(reader)).status == 408
    writer.close()


async def test_a_client_that_leaves_within_its_body_is_forgotten(here: GatewayHere) -> None:
    _, writer = await here.connect()
    writer.write(completion(QUESTION)[:-1])
    await until(lambda: here.serving.gateway.open != set())
    writer.close()
    await until(lambda: not here.serving.gateway.open)


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"nonsense\r\n\r\n", b"GET  HTTP/1.1\r\n\r\n"]
)
async def test_what_is_no_http_is_400(here: GatewayHere, sent: bytes) -> None:
    assert (await ask(here.port, sent)).error["code"] == "invalid_http"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v1/chat/completions/", 404),
        ("POST", "//v1/chat/completions", 404),
        ("GET", "/v1/../etc/passwd", 404),
        ("GET", "/v1/%2e%2e/x", 404),
        ("GET", "/" + "x" * 3000, 404),
        ("GET", "/v1/chat/completions", 405),
        ("DELETE", "/v1/models", 405),
        ("OPTIONS", "/v1/chat/completions", 405),
        ("PUT", "/v1/programs/p", 405),
        ("GET", "/v1/models/unheard-of", 404),
        ("GET", "/v1/programs/unheard-of", 404),
        ("POST", "/v1/programs/unheard-of/close", 404),
        ("POST", "/v1/programs/unheard-of", 404),
        ("GET", "/v1/programs/%ff%00", 400),
    ],
)
async def test_what_is_not_listed_is_refused(here: GatewayHere, method: str, path: str, status: int) -> None:
    answer = await ask(here.port, request(method, path))
    assert answer.status == status
    assert answer.error["type"] in ("not_found_error", "invalid_request_error")


async def test_a_path_in_absolute_form_is_a_path(here: GatewayHere) -> None:
    assert (await ask(here.port, request("GET", "http://localhost/v1/models"))).status == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost@evil", "x/", "x?", "x#", "[::1"])
async def test_without_keys_only_localhost_is_answered(here: GatewayHere, host: str) -> None:
    answer = await ask(here.port, completion(QUESTION, host=host))
    assert (answer.status, answer.error["code"]) == (403, "wrong_host")


async def test_without_keys_no_page_of_another_site_is_answered(here: GatewayHere) -> None:
    answer = await ask(here.port, completion(QUESTION, origin="https://evil.example", host="localhost"))
    assert (answer.status, answer.error["code"]) == (403, "wrong_origin")
    answer = await ask(here.port, completion(QUESTION, origin="http://localhost:8080", host="localhost:8080"))
    assert answer.status == 200


async def test_connections_beyond_the_most_are_closed(backend: tuple[str, Recorder]) -> None:
    async with gateway(backend[0], connections=2) as here:
        first = [await here.connect() for _ in range(2)]
        reader, _ = await here.connect()
        with suppress(ConnectionError):
            assert await reader.read() == b""
        first[0][1].write(request("GET", "/health"))
        assert (await read_answer(first[0][0])).status == 200


async def test_a_fault_of_ours_is_500_without_a_trace(
    here: GatewayHere, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> object:
        raise ZeroDivisionError("the secret")

    monkeypatch.setattr(here.serving.backends, "choose", broken)
    with caplog.at_level(logging.ERROR):
        answer = await ask(here.port, completion(QUESTION))
    assert (answer.status, answer.error["code"]) == (500, "internal_error")
    assert b"secret" not in answer.body
    assert "ZeroDivisionError" in caplog.text
    assert here.serving.admission.turns.running_count == 0
