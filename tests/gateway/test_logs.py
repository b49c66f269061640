"""What the log holds after real requests, and what it never holds."""

import asyncio
import json
import logging
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from aiohttp import web

from dynasor.gateway.exchange import Exchange
from dynasor.gateway.keys import hash_of
from dynasor.gateway.log_writing import LogWriter
from dynasor.gateway.logs import LogFormat, as_text
from dynasor.gateway.settings import read_settings
from dynasor.launch.serving import prepare
from support.gateways import KEY, QUESTION, GatewayHere, Recorder, faulty, listening, serving_at
from support.live_engine import until
from support.raw_http import ask, completion, request
from support.serve_process import serve
from support.speaking import Said, speaking

CANARY = "canary"
TENANTS = [{"name": "team-a", "key_hashes": [hash_of(KEY)]}]


class Log:
    """A file with lines, read once all are written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def text(self) -> str:
        return self.path.read_text()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


@asynccontextmanager
async def logged(log: Log, url: str, form: LogFormat = "json", **settings: Any) -> AsyncIterator[GatewayHere]:
    """A gateway whose log is complete at the end of the context."""
    told = read_settings(None, {"backends": [{"url": url}], "port": 0} | settings)
    with log.path.open("wb") as file, LogWriter(file.fileno(), form) as writer:
        async with listening(prepare(told, {}, log=writer.write)) as here:
            yield here


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "log")


async def test_a_request_is_one_line(log: Log) -> None:
    async with serving_at(Recorder().app()) as url, logged(log, url, tenants=TENANTS) as here:
        sent = completion(QUESTION, authorization=f"Bearer {KEY}", x_request_id="req-1", x_session_id="agent-7")
        assert (await ask(here.port, sent)).status == 200
    (line,) = log.lines
    assert 0 < line.pop("duration_ms") < 5000
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", line.pop("time"))
    assert line == {
        "level": "info",
        "event": "request",
        "id": "req-1",
        "method": "POST",
        "route": "/v1/chat/completions",
        "status": 200,
        "tenant": "team-a",
        "prompt_tokens": 3,
        "completion_tokens": 4,
        "backend": f"{url}/v1",
        "program": "agent-7",
    }


async def test_text_has_the_same_in_one_line_each(log: Log) -> None:
    async with serving_at(Recorder().app()) as url, logged(log, url, "text") as here:
        await ask(here.port, completion(QUESTION))
        await ask(here.port, request("GET", "/nowhere"))
    first, second = log.text.splitlines()
    assert re.fullmatch(
        r"\S+ level=info event=request id=[0-9a-f]{8}-0 method=POST route=/v1/chat/completions status=200"
        rf" duration_ms=[\d.]+ tenant=everybody prompt_tokens=3 completion_tokens=4 backend={url}/v1",
        first,
    )
    assert re.search(r"-1 method=GET route=none status=404 duration_ms=0.0 reason=not_found$", second)


def test_text_quotes_what_could_forge_a_line() -> None:
    line = as_text("now", {"level": "info", "a": 'x\n"y" z=1', "b": "", "c": "é", "d": None})
    assert line == 'now level=info a="x\\n\\"y\\" z=1" b="" c="é" d=None'


async def test_a_client_that_left_and_a_stream_that_broke_are_told(log: Log) -> None:
    async with faulty() as (url, app), logged(log, url) as here:
        writer = (await here.connect())[1]
        hung = [{"role": "user", "content": "1 + 1? [[fault: hang=2]]"}]
        writer.write(completion(QUESTION | {"stream": True, "messages": hung}))
        await until(lambda: app.ledger.active == 1)
        writer.transport.abort()
        await until(lambda: not here.serving.gateway.open)
        broken = [{"role": "user", "content": "1 + 1? [[fault: disconnect=3]]"}]
        await ask(here.port, completion(QUESTION | {"stream": True, "messages": broken}))
    left, broke = [line for line in log.lines if line["event"] == "request"]
    assert left["status"] == 499
    assert (broke["status"], broke["reason"]) == (200, "backend_broke_off")
    (warning,) = [line for line in log.lines if line["event"] == "log"]
    assert (warning["level"], warning["told"]) == ("warning", "a stream broke off: backend_broke_off")


async def test_no_prompt_no_answer_and_no_key_is_in_the_log(log: Log) -> None:
    async def echo(http: web.Request) -> web.StreamResponse:
        body = await http.text()
        status = 400 if '"stream"' in body else int(http.headers["x-session-id"])  # what programs ask is streamed
        return web.Response(status=status, text=f"{CANARY} {body}")

    key = f"sk-{CANARY}-{KEY}"
    tenants = [{"name": "team-a", "key_hashes": [hash_of(key)]}]
    mine = {"authorization": f"Bearer {key}"}
    body = QUESTION | {"messages": [{"role": "user", "content": CANARY}], "model": CANARY}
    async with serving_at(Recorder(echo).app()) as url, logged(log, url, tenants=tenants) as here:
        for status in ("200", "400", "503"):
            await ask(here.port, completion(body, x_session_id=status, **mine))
        await ask(here.port, completion(body, authorization=f"Bearer wrong-{CANARY}"))
        await ask(here.port, completion(body | {"dynasor": {"policy": CANARY}, "model": "tiny"}, **mine))
        await ask(here.port, completion(body | {"dynasor": {"cap": 1}, "model": "tiny"}, **mine))
        await ask(here.port, completion(body | {"n": CANARY}, x_request_id=f"{CANARY} {CANARY}", **mine))
        await ask(here.port, completion(f"{{{CANARY}".encode(), cookie=CANARY, user_agent=CANARY, **mine))
        await ask(here.port, request("GET", f"/v1/models/{CANARY}?key={CANARY}", b"", **mine))
        await ask(here.port, request("GET", f"/{CANARY}?key={CANARY}"))
    assert len(log.lines) >= 10
    assert CANARY not in log.text


async def test_no_answer_of_a_program_is_in_the_log(log: Log) -> None:
    async with speaking(lambda body, number: Said(f"the answer is {CANARY}")) as (url, _), logged(log, url) as here:
        answer = await ask(
            here.port, completion(QUESTION | {"model": "tiny@sc", "dynasor": {"cap": 2, "policy": "even"}})
        )
        assert CANARY.encode() in answer.body
    (line,) = log.lines
    assert (line["status"], line["completion_tokens"]) == (200, 8)
    assert CANARY not in log.text


async def test_a_fault_of_ours_is_told_by_its_kind_and_place(log: Log) -> None:
    async def broken(exchange: Exchange) -> None:
        raise ValueError(CANARY)

    async with serving_at(Recorder().app()) as url, logged(log, url) as here:
        here.serving.gateway._exact["GET", "/broken"] = broken
        assert (await ask(here.port, request("GET", "/broken"))).status == 500
        logging.getLogger("aiohttp.client").error("first\n%s", CANARY)
    bug, library, line = sorted(
        log.lines, key=lambda line: (line["event"], line.get("logger", "z") != "dynasor.gateway")
    )
    assert (bug["level"], bug["told"], bug["exception"]) == ("error", "GET failed", "ValueError")
    assert re.search(r"test_logs\.py:\d+$", bug["at"][-1])
    assert (library["logger"], library["told"]) == ("aiohttp.client", "first")
    assert (line["level"], line["status"], line["reason"]) == ("error", 500, "internal_error")
    assert CANARY not in log.text


async def test_a_log_that_nobody_reads_holds_nothing_up() -> None:
    reading, writing = os.pipe()
    read: list[bytes] = []
    with LogWriter(writing, "json", kept=50) as writer:
        for number in range(500):
            writer.write({"number": number, "text": "x" * 4000})  # three pipes full
        reader = Thread(target=lambda: read.append(Path(f"/dev/fd/{reading}").read_bytes()))
        reader.start()
        await until(lambda: writer._written_count == 50)
        writer.write({"number": 500})
    os.close(writing)
    reader.join()
    os.close(reading)
    lines = [json.loads(line) for line in read[0].splitlines()]
    assert [line.get("number") for line in lines] == [*range(50), 500, None]
    assert lines[-1]["event"] == "lines dropped"
    assert lines[-1]["count"] == 450


async def test_a_log_whose_reader_is_gone_is_passed_over() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with LogWriter(writing, "text") as writer:
        writer.write({"level": "info"})
        asyncio.get_running_loop().call_soon(writer._hand_over)
        await until(lambda: writer._written_count == 1)
    os.close(writing)


@pytest.mark.slow
@pytest.mark.parametrize("where", ["option", "file"])
async def test_the_command_writes_it_to_the_standard_error(where: str, tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").write_text('log_format = "json"')
    told = ["--log-format", "json"] if where == "option" else ["--config", str(tmp_path / "gateway.toml")]
    async with serving_at(Recorder().app()) as url, serve("--backend", url, *told) as gateway:
        assert (await ask(gateway.port, completion(QUESTION))).status == 200
        assert gateway.process.stderr is not None
        async with asyncio.timeout(10):
            said = [await gateway.process.stderr.readline() for _ in range(2)]
    assert said[0] == b"dynasor: without keys; only programs on this machine may ask\n"
    assert json.loads(said[1])["route"] == "/v1/chat/completions"
