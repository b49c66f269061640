"""A test for each promise of the door, paths, bounds, other sites and secrets: the real process, over sockets."""

import asyncio
import hmac
import re
import resource
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import pytest

from dynasor.clock import WallClock
from dynasor.gateway.keys import Keys, hash_of
from dynasor.gateway.openapi import document
from dynasor.gateway.refusals import Refused
from dynasor.gateway.tenants import Tenant
from support.faulty_server import FaultyServer
from support.gateways import KEY
from support.live_engine import until
from support.raw_http import ask, completion, read_answer, request
from support.serve_thread import Served, served

OTHER_KEY = "sk-of-another-team-and-long-enough-0123456789"
CANARY = "canary-7f3a"
BACKEND_KEY = f"sk-{CANARY}-of-the-backend-0123456789"
METRICS_KEY = f"sk-{CANARY}-of-the-metrics-0123456789"
QUESTION = {"model": "tiny", "messages": [{"role": "user", "content": f"{CANARY}?"}], "max_tokens": 4}
SETTINGS = """
[[tenants]]
name = "team-a"
key_hashes = ["{first}"]
max_branches = 8

[[tenants]]
name = "team-b"
key_hashes = ["{second}"]

[limits]
header_s = {header_s}
body_s = {header_s}

[batches]
store = "sqlite:{folder}/batches"
"""
NO_KEY = {
    "injection": "Bearer ' OR '1'='1' --",
    "statement": 'Bearer "; DROP TABLE keys; --',
    "template": "Bearer ${jndi:ldap://127.0.0.1/x}",
    "format": "Bearer %s%n{0}{{7*7}}",
    "its hash": f"Bearer {hash_of(KEY)}",
    "beginning": f"Bearer {KEY[:-1]}",
    "longer": f"Bearer {KEY}x",
    "other case": f"Bearer {KEY.upper()}",
    "8 kB": "Bearer " + "x" * 8000,
    "non-ASCII": "Bearer \xff\xfe\xe9" + KEY,
    "no scheme": KEY,
    "basic": f"Basic {KEY}",
    "empty": "Bearer ",
}


@pytest.fixture(scope="module")
def backend() -> Iterator[FaultyServer]:
    with FaultyServer() as server:
        yield server


@pytest.fixture(scope="module")
def keyed(backend: FaultyServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """With two tenants, hasty time limits, and batches."""
    with with_keys(tmp_path_factory.mktemp("keyed"), backend, header_s=1.0) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def open_here(backend: FaultyServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Without keys."""
    folder = tmp_path_factory.mktemp("open")
    options = ("--backend", backend.url, "--batch-store", f"sqlite:{folder}/batches")
    with served(folder / "log", *options) as gateway:
        yield gateway


def with_keys(folder: Path, backend: FaultyServer, header_s: float) -> AbstractContextManager[Served]:
    told = SETTINGS.format(first=hash_of(KEY), second=hash_of(OTHER_KEY), header_s=header_s, folder=folder)
    (folder / "gateway.toml").write_text(told)
    secrets = {"OPENAI_API_KEY": BACKEND_KEY, "DYNASOR_METRICS_KEY": METRICS_KEY}
    return served(folder / "log", "--backend", backend.url, "--config", str(folder / "gateway.toml"), environ=secrets)


def routes(*methods: str) -> list[tuple[str, str]]:
    """All that need a key, of these methods; without any, of all."""
    return [
        (method.upper(), re.sub(r"\{\w+\}", "x", path))
        for path, described in document(keys=True)["paths"].items()
        for method, operation in described.items()
        if operation.get("security") != [] and (not methods or method.upper() in methods)
    ]


def mine(**headers: str) -> dict[str, str]:
    """Headers with a sound key."""
    return {"authorization": f"Bearer {KEY}", **headers}


# The door


@pytest.mark.slow
async def test_every_route_asks_for_a_key(keyed: Served) -> None:
    assert len(routes()) >= 13
    for method, path in routes():
        answer = await ask(keyed.port, request(method, path, b"{}"))
        assert (answer.status, answer.error["code"]) == (401, "invalid_api_key"), (method, path)
    for path in ("/dashboard/feed", "/dashboard/programs/x"):
        assert (await ask(keyed.port, request("GET", path))).status in (401, 403)


@pytest.mark.slow
@pytest.mark.parametrize("value", NO_KEY.values(), ids=NO_KEY)
async def test_what_is_no_key_opens_nothing_and_is_not_repeated(keyed: Served, value: str) -> None:
    for method, path in (("POST", "/v1/chat/completions"), ("GET", "/v1/models"), ("GET", "/metrics")):
        answer = await ask(keyed.port, request(method, path, b"{}", authorization=value))
        assert (answer.status, answer.error["code"]) == (401, "invalid_api_key")
        told = value.rpartition(" ")[2].encode("latin-1")
        assert not told or told[:24] not in answer.body
        assert len(answer.body) < 300


@pytest.mark.slow
async def test_a_key_of_a_tenant_does_not_open_what_is_another_one_s(keyed: Served) -> None:
    named = completion(QUESTION, **mine(x_session_id="p"))
    assert (await ask(keyed.port, named)).status == 200
    theirs = {"authorization": f"Bearer {OTHER_KEY}"}
    assert (await ask(keyed.port, request("GET", "/v1/programs/p", b"", **mine()))).status == 200
    assert (await ask(keyed.port, request("GET", "/v1/programs/p", b"", **theirs))).status == 404
    assert (await ask(keyed.port, request("POST", "/v1/programs/p/close", b"", **theirs))).status == 404
    assert (await ask(keyed.port, request("GET", "/metrics", b"", **mine()))).status == 401


def test_keys_are_compared_by_their_digests_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[bytes, bytes]] = []
    real = hmac.compare_digest

    def watched(one: bytes, other: bytes) -> bool:
        seen.append((one, other))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", watched)
    keys = Keys([Tenant(name="team", key_hashes=(hash_of(KEY),))])
    assert keys.tenant({b"authorization": b"Bearer " + KEY.encode()}).name == "team"
    digest = bytes.fromhex(hash_of(KEY))
    assert seen == [(digest, digest)]
    for near in (KEY[:-1], KEY[:-1] + "?", "?" + KEY[1:]):
        with pytest.raises(Refused):  # found by no digest, so that nothing of the key itself is ever compared
            keys.tenant({b"authorization": b"Bearer " + near.encode()})
    assert len(seen) == 1


# Paths and hosts


@pytest.mark.slow
@pytest.mark.parametrize("host", ["x/", "x?", "x#", "x/v1/models?", "localhost/health", "", "[", "\xff"])
async def test_a_host_opens_nothing(keyed: Served, host: str) -> None:
    for path in ("/v1/models", "/metrics", "/dashboard/feed"):
        assert (await ask(keyed.port, request("GET", path, host=host))).status in (400, 401, 403)


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [
        "http://localhost/v1/models", "http://x/health/../v1/models", "//v1/models", "//localhost/v1/models",
        "/health/../v1/models", "/health/%2e%2e/v1/models", "/v1/models/", "/v1//models", "/health;/v1/models",
        "/health?/../v1/models", "/V1/models", "/v1/models%00", "/v1/models#", "\\v1\\models", "/./v1/models",
    ],
)  # fmt: skip
async def test_no_spelling_of_a_path_goes_past_the_door(keyed: Served, path: str) -> None:
    answer = await ask(keyed.port, request("GET", path))
    assert answer.status in (400, 401, 404) or answer.body == b'{"status":"ok"}'
    assert b"tiny" not in answer.body


# Bounds


@pytest.mark.slow
@pytest.mark.parametrize(
    "more",
    [
        {"n": 10**9}, {"best_of": 10**9}, {"max_tokens": 10**9}, {"n": 9}, {"messages": [{}] * 10**6},
        {"dynasor": {"cap": 10**9}}, {"dynasor": {"cap": 9}}, {"model": "tiny@sc:cap=1000000000"},
        {"model": "tiny@mcts:parallel=1000000000"}, {"dynasor": {"algorithm": "rebase", "settings": {"width": 10**9}}},
        {"dynasor": {"token_budget": -1}}, {"dynasor": {"deadline_s": 1e308}},
    ],
)  # fmt: skip
async def test_what_asks_for_too_much_is_refused_at_once(keyed: Served, more: dict[str, object]) -> None:
    answer = await ask(keyed.port, completion({**QUESTION, **more}, **mine()))
    assert answer.status == 400, answer.body
    assert len(answer.body) < 1000


@pytest.mark.slow
async def test_bodies_without_bound_are_refused_and_not_kept(keyed: Served) -> None:
    before = keyed.memory_mib
    for _ in range(8):
        reader, writer = await asyncio.open_connection("127.0.0.1", keyed.port)
        writer.write(completion(b"", **mine(content_length="24000000")))
        assert (await read_answer(reader)).status == 413  # nothing of it has come
        writer.close()
    assert await endless(keyed.port) == 413
    assert keyed.memory_mib - before < 24


async def endless(port: int) -> int:
    """Send chunks until an answer comes; gives its status."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = request("POST", "/v1/completions", b"", **mine(transfer_encoding="chunked"))
    writer.write(head.replace(b"content-length: 0\r\n", b""))
    answer = asyncio.ensure_future(read_answer(reader))
    with suppress(ConnectionError):
        for _ in range(1500):
            if answer.done():
                break
            writer.write(b"4000\r\n" + b" " * 0x4000 + b"\r\n")
            await writer.drain()
    async with asyncio.timeout(60):
        status = (await answer).status
    writer.close()
    return status


@pytest.mark.slow
async def test_clients_that_send_a_byte_at_a_time_hold_nothing_up(keyed: Served) -> None:
    slow = [await asyncio.open_connection("127.0.0.1", keyed.port) for _ in range(200)]
    for number, (_, writer) in enumerate(slow):
        writer.write(b"POST /v1/chat" if number % 2 else completion(QUESTION, **mine())[:-1])
    began = WallClock().now()
    assert (await ask(keyed.port, completion(QUESTION, **mine()))).status == 200
    answers = await asyncio.gather(*(read_answer(reader) for reader, _ in slow))
    assert {answer.status for answer in answers} == {408}
    assert WallClock().now() - began < 30
    for _, writer in slow:
        writer.close()


@pytest.mark.slow
async def test_headers_of_8_kb_are_read_and_of_17_are_not(keyed: Served) -> None:
    assert (await ask(keyed.port, completion(QUESTION, **mine(x="y" * 8000)))).status == 200
    assert (await ask(keyed.port, completion(QUESTION, **mine(x="y" * 17_000)))).status == 431
    assert (await ask(keyed.port, request("GET", "/v1/models", b"", **mine(x="\xff\xfe")))).status == 200


@pytest.mark.slow
async def test_clients_beyond_what_descriptors_allow_break_nothing(backend: FaultyServer, tmp_path: Path) -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 1000:
        pytest.skip("this test opens 300 connections")
    few = ("/bin/sh", "-c", 'ulimit -n 200; exec "$@"', "few")
    with served(tmp_path / "log", "--backend", backend.url, wrapped=few) as gateway:
        crowd = [await asyncio.open_connection("127.0.0.1", gateway.port) for _ in range(300)]
        for _, writer in crowd:
            writer.write(completion(QUESTION))
        statuses = await asyncio.gather(*(status_of(reader) for reader, _ in crowd))
        for _, writer in crowd:
            writer.close()
        assert set(statuses) <= {200, 0}
        assert statuses.count(200) >= 30
        await until(lambda: gateway.descriptors < 100)
        assert (await ask(gateway.port, completion(QUESTION))).status == 200


async def status_of(reader: asyncio.StreamReader) -> int:
    """Of an answer; 0 where the connection was closed instead."""
    try:
        return (await read_answer(reader)).status
    except (ConnectionError, asyncio.IncompleteReadError, IndexError):
        return 0


# Other sites


@pytest.mark.slow
async def test_no_page_of_another_site_changes_or_reads_anything(open_here: Served) -> None:
    for method, path in [*routes(), ("GET", "/metrics"), ("GET", "/dashboard/feed")]:
        for headers in ({"origin": "https://evil.example"}, {"host": "evil.example"}, {"origin": "null"}):
            answer = await ask(open_here.port, request(method, path, b"{}", **headers))
            assert answer.status == 403, (method, path, headers)


@pytest.mark.slow
async def test_no_answer_lets_a_browser_share_it(open_here: Served, keyed: Served) -> None:
    preflight = {"origin": "http://localhost", "access_control_request_method": "POST"}
    for gateway, headers in ((open_here, {}), (keyed, mine())):
        for method, path in (("OPTIONS", "/v1/chat/completions"), ("GET", "/v1/models"), ("GET", "/dashboard")):
            answer = await ask(gateway.port, request(method, path, b"", **{**preflight, **headers}))
            assert not [name for name in answer.headers if name.startswith("access-control")]
            assert answer.status != 200 or method == "GET"


@pytest.mark.slow
async def test_the_dashboard_is_read_only_and_runs_no_script_but_its_own(open_here: Served) -> None:
    page = await ask(open_here.port, request("GET", "/dashboard"))
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy or "default-src 'self'" in policy
    assert "unsafe-inline" not in policy
    assert "unsafe-eval" not in policy
    assert not re.search(rb"<script(?![^>]*\bsrc=)", page.body)
    assert not re.search(rb"\son\w+=", page.body)
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert (await ask(open_here.port, request(method, "/dashboard"))).status == 405


# Secrets, and where requests go


@pytest.mark.slow
async def test_no_secret_and_no_prompt_is_written_told_or_shown(backend: FaultyServer, tmp_path: Path) -> None:
    with with_keys(tmp_path, backend, header_s=5.0) as gateway:
        told = [
            await ask(gateway.port, sent)
            for fault in ("", "[[fault: status=401 echo=1]]", "[[fault: hangup=1]]", "[[fault: garbage=1]]")
            for sent in (
                completion({**QUESTION, "messages": [{"role": "user", "content": f"secret-words {fault}"}]}, **mine()),
                completion({**QUESTION, "prompt": "x", "n": "secret-words"}, **mine()),
                completion(b"{secret-words", **mine()),
                completion(QUESTION, authorization=f"Bearer {CANARY}"),
                request("GET", f"/v1/models/x?key={KEY}", b"", **mine()),
            )
        ]
        figures = await ask(gateway.port, request("GET", "/metrics", authorization=f"Bearer {METRICS_KEY}"))
        assert figures.status == 200
        gateway.process.terminate()
        assert await asyncio.to_thread(gateway.process.wait, 20) == 0
    written = gateway.written
    assert written.count("route=") >= len(told)
    for secret in (CANARY, KEY, OTHER_KEY, hash_of(KEY), "secret-words"):
        assert secret not in written
        assert secret.encode() not in figures.body
    for answer in told:
        assert BACKEND_KEY.encode() not in answer.body
        assert KEY.encode() not in answer.body
        assert backend.url.encode() not in answer.body


@pytest.mark.slow
async def test_no_request_makes_it_connect_elsewhere(keyed: Served) -> None:
    called: list[object] = []
    trap = await asyncio.start_server(lambda reader, writer: called.append(writer), "127.0.0.1", 0)
    there = f"http://127.0.0.1:{trap.sockets[0].getsockname()[1]}"
    for field in ("base_url", "api_base", "backend", "url", "endpoint", "webhook", "callback_url"):
        answer = await ask(keyed.port, completion({**QUESTION, field: there}, **mine()))
        assert answer.status == 200
    image = [{"type": "image_url", "image_url": {"url": f"{there}/x.png"}}]
    await ask(keyed.port, completion({**QUESTION, "messages": [{"role": "user", "content": image}]}, **mine()))
    for headers in ({"host": there[7:]}, {"x_forwarded_host": there[7:]}, {"forwarded": f"host={there[7:]}"}):
        await ask(keyed.port, completion(QUESTION, **mine(**headers)))
    await ask(keyed.port, request("GET", f"{there}/v1/models", b"", **mine()))
    await ask(keyed.port, request("CONNECT", there[7:], b"", **mine()))
    trap.close()
    assert called == []
