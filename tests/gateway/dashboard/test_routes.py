"""The dashboard's routes over real sockets: who is told what, what the page may do, and what a viewer may cost."""

import asyncio
import json
import re
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from dynasor.gateway.dashboard import feed
from dynasor.gateway.dashboard.feed import MOST_VIEWERS
from dynasor.gateway.dashboard.live import MOST, MOST_CHARACTERS, MOST_ENDED
from dynasor.gateway.dashboard_settings import DashboardSettings
from dynasor.gateway.keys import hash_of
from dynasor.gateway.metrics_door import KEY_VARIABLE
from support.gateways import GatewayHere, gateway
from support.live_engine import until
from support.raw_http import Answer, ask, completion, read_head, request
from support.speaking import Said, speaking

OURS, THEIRS, OPERATOR = (f"sk-{name}-for-tests-only-0123456789abcdef" for name in ("ours", "theirs", "operator"))
TENANTS = [{"name": name, "key_hashes": [hash_of(key)]} for name, key in (("ours", OURS), ("theirs", THEIRS))]
SECRET = "how many secrets are there"
CHAT = {"model": "tiny@sc:cap=3", "messages": [{"role": "user", "content": SECRET}], "dynasor": {"policy": "even"}}


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "EVERY_S", 0.005)


@asynccontextmanager
async def watched(said: Said | None = None, **settings: Any) -> AsyncIterator[GatewayHere]:
    """A gateway whose model always says the same."""
    answer = said or Said("I count: The answer is 42.")
    environ = {KEY_VARIABLE: OPERATOR} if "tenants" in settings else {}
    async with speaking(lambda _, __: answer) as (url, _), gateway(url, environ=environ, **settings) as here:
        yield here


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"} if key else {}


async def get(here: GatewayHere, path: str, key: str = "", **headers: str) -> Answer:
    return await ask(here.port, request("GET", path, b"", **bearer(key), **headers))


class Watching:
    """A viewer that reads the feed."""

    def __init__(self, here: GatewayHere, key: str = "") -> None:
        self._here, self._key = here, key
        self.programs: dict[str, dict[str, Any]] = {}
        self.events: list[str] = []
        self.figures: dict[str, Any] = {}
        self.viewer: dict[str, Any] = {}

    async def open(self) -> "Watching":
        self.reader, self.writer = await self._here.connect()
        self.writer.write(request("GET", "/dashboard/feed", b"", **bearer(self._key)))
        status, headers = await read_head(self.reader)
        assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        await self.next()
        return self

    async def next(self) -> str:
        """Take in one event."""
        async with asyncio.timeout(10):
            block = b""
            while not block.endswith(b"\n\n"):
                size = int(await self.reader.readline(), 16)
                block += (await self.reader.readexactly(size + 2))[:-2]
        head, _, text = block.decode().partition("\ndata: ")
        told = json.loads(text) if text else {}
        self.events.append(head.removeprefix("event: "))
        self.programs |= {program["id"]: program for program in told.get("programs", [])}
        self.figures = told.get("figures", self.figures)
        self.viewer = told.get("viewer", self.viewer)
        return self.events[-1]

    async def until_ended(self, count: int = 1) -> dict[str, Any]:
        """Wait for so many programs to have ended; gives the last."""
        while self.figures["programs"]["finished"] < count:
            await self.next()
        return list(self.programs.values())[-1]


async def test_a_program_is_told_of_as_it_goes_on() -> None:
    async with watched() as here:
        viewer = await Watching(here).open()
        assert (viewer.events, viewer.programs) == (["snapshot"], {})
        assert viewer.viewer == {"tenant": "everybody", "texts": True}
        assert (await ask(here.port, completion(CHAT))).status == 200
        program = await viewer.until_ended()
        assert set(viewer.events[1:]) == {"change"}
        assert (program["state"], program["strip"], program["knob"], program["cap"]) == ("finished", "sss", 3, 3)
        assert (program["certaindex"], program["voted"], program["model"]) == (1.0, [3, 3], "tiny")
        assert program["points"][-1] == [3, 1.0]
        assert viewer.figures["programs"]["even_tokens"] == program["tokens"] > 0
        assert viewer.figures["tenants"][0]["name"] == "everybody"
        later = await Watching(here).open()
        assert later.programs == {program["id"]: program}


async def test_one_program_is_told_in_full() -> None:
    async with watched() as here:
        answer = (await ask(here.port, completion(CHAT))).json
        id = answer["id"].removeprefix("chatcmpl-")
        told = await get(here, f"/dashboard/programs/{id}")
        assert told.headers["cache-control"] == "no-store"
        assert told.json["prompt"] == [{"role": "user", "content": SECRET}]
        assert told.json["votes"] == [{"answer": "42", "votes": 3, "weight": 3.0}]
        assert [branch["answer"] for branch in told.json["branches"]] == ["42"] * 3
        assert (await get(here, "/dashboard/programs/nobody")).status == 404


async def test_what_runs_and_is_left_shows_as_cut() -> None:
    holds = asyncio.Event()
    async with watched(Said("The answer is 42.", holds=holds)) as here:
        viewer = await Watching(here).open()
        _, client = await here.connect()
        client.write(completion(CHAT))
        while not any(program["in_flight"] == 3 for program in viewer.programs.values()):
            await viewer.next()
        client.transport.abort()
        while [program["state"] for program in viewer.programs.values()] != ["withdrawn"]:
            await viewer.next()
        (program,) = viewer.programs.values()
        assert (program["strip"], program["in_flight"]) == ("ccc", 0)
        assert viewer.figures["programs"]["withdrawn"] == 1


async def test_a_key_shows_its_tenants_programs_and_no_others() -> None:
    async with watched(tenants=TENANTS) as here:
        ids = {}
        for name, key in (("ours", OURS), ("theirs", THEIRS)):
            answer = await ask(here.port, completion(CHAT, **bearer(key)))
            ids[name] = answer.json["id"].removeprefix("chatcmpl-")
        for path in ("/dashboard/feed", f"/dashboard/programs/{ids['ours']}"):
            for wrong in ("", "sk-nobody-knows-this-key-0123456789abcdef"):
                answer = await get(here, path, wrong)
                assert (answer.status, answer.error["code"]) == (401, "invalid_api_key")
        for name, key in (("ours", OURS), ("theirs", THEIRS)):
            viewer = await Watching(here, key).open()
            assert list(viewer.programs) == [ids[name]]
            assert [tenant["name"] for tenant in viewer.figures["tenants"]] == [name]
            assert viewer.figures["programs"]["finished"] == 1
            assert viewer.viewer == {"tenant": name, "texts": True}
        assert (await get(here, f"/dashboard/programs/{ids['ours']}", OURS)).json["prompt"] is not None
        other = await get(here, f"/dashboard/programs/{ids['ours']}", THEIRS)
        assert (other.status, other.error["code"]) == (404, "program_not_found")


async def test_programs_that_clients_drive_are_shown_to_who_may_see_them() -> None:
    async with watched(tenants=TENANTS) as here:
        for key, session in ((OURS, "agent-1"), (THEIRS, "agent-1"), (OURS, "agent-2"), (OURS, "agent-1")):
            plain = {name: CHAT[name] for name in CHAT if name != "dynasor"} | {"model": "tiny"}
            await ask(here.port, completion(plain, **bearer(key), x_session_id=session))
        seen = {}
        for key in (OURS, THEIRS, OPERATOR):
            told = (await Watching(here, key).open()).figures["client_programs"]
            assert all(one["tokens"] > 0 and one["heard_at"] >= one["opened_at"] for one in told)
            seen[key] = [(one["tenant"], one["name"], one["requests"], one["in_flight"]) for one in told]
    assert seen[OURS] == [("ours", "agent-2", 1, 0), ("ours", "agent-1", 2, 0)], "the newest first"
    assert seen[THEIRS] == [("theirs", "agent-1", 1, 0)]
    assert sorted(seen[OPERATOR]) == sorted(seen[OURS] + seen[THEIRS])


async def test_the_key_of_the_metrics_shows_all_without_what_was_said() -> None:
    async with watched(tenants=TENANTS) as here:
        for key in (OURS, THEIRS):
            await ask(here.port, completion(CHAT, **bearer(key)))
        viewer = await Watching(here, OPERATOR).open()
        assert {program["tenant"] for program in viewer.programs.values()} == {"ours", "theirs"}
        assert viewer.viewer == {"tenant": None, "texts": False}
        assert viewer.figures["programs"]["finished"] == 2
        for id in viewer.programs:
            told = await get(here, f"/dashboard/programs/{id}", OPERATOR)
            assert told.json["votes"] == [{"answer": None, "votes": 3}]
            assert SECRET.encode() not in told.body
            assert "answer" not in told.json["branches"][0]
            assert "text" not in told.json["branches"][0]
        models = await get(here, "/v1/models", OPERATOR)
        assert models.status == 401, "it opens nothing else"


def test_the_documentation_names_the_settings_and_bounds() -> None:
    page = (Path(__file__).parents[3] / "docs" / "dashboard.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```toml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert tomllib.loads(block) == {"dashboard": asdict(DashboardSettings())}
    bounds = f"the {MOST_ENDED} programs that ended last: {MOST} together, with at most {MOST_CHARACTERS >> 20} MB"
    assert bounds in " ".join(page.split())
    assert f"Up to {MOST_VIEWERS} viewers" in " ".join(page.split())


async def test_texts_can_be_switched_off_and_so_can_the_page() -> None:
    async with watched(dashboard={"texts": False}) as here:
        id = (await ask(here.port, completion(CHAT))).json["id"].removeprefix("chatcmpl-")
        told = await get(here, f"/dashboard/programs/{id}")
        assert SECRET.encode() not in told.body
        assert told.json["votes"] == [{"answer": None, "votes": 3}]
        assert (await Watching(here).open()).viewer["texts"] is False
    async with watched(dashboard={"enabled": False}) as here:
        assert (await ask(here.port, completion(CHAT))).status == 200
        for path in ("/dashboard", "/dashboard/feed", "/dashboard/page.js"):
            assert (await get(here, path)).status == 404


@pytest.mark.parametrize("path", ["/dashboard", "/dashboard/page.js", "/dashboard/feed", "/dashboard/programs/x"])
async def test_without_keys_other_hosts_and_sites_are_refused(path: str) -> None:
    async with watched() as here:
        for headers in ({"host": "evil.example"}, {"origin": "http://evil.example"}):
            answer = await get(here, path, **headers)
            assert (answer.status, answer.error["type"]) == (403, "permission_error")
        proxied = await get(here, path, x_forwarded_for="203.0.113.7")
        assert proxied.status == (403 if "feed" in path or "programs" in path else 200)


async def test_the_page_tells_nothing_and_may_load_nothing_from_elsewhere() -> None:
    async with watched(tenants=TENANTS) as here:
        index = await get(here, "/dashboard")
        assert (index.status, index.headers["content-type"]) == (200, "text/html; charset=utf-8")
        policy = dict(part.strip().split(" ", 1) for part in index.headers["content-security-policy"].split(";"))
        assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert policy["require-trusted-types-for"] == "'script'"
        assert index.headers["x-content-type-options"] == "nosniff"
        text = index.body.decode()
        assert "<style" not in text
        assert " style=" not in text
        assert " onclick" not in text
        assert text.count("<script") == text.count('<script src="dashboard/') + text.count('<script type="module" src=')
        for file in files("dynasor.gateway.dashboard").joinpath("static").iterdir():
            told = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
            assert "http:" not in told, file.name
            assert "https:" not in told, file.name
            assert not any(
                word in told for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", "document.write")
            )


async def test_files_are_asked_for_again_and_answered_by_their_tag() -> None:
    async with watched() as here:
        for path, kind in (
            ("/dashboard", "text/html"), ("/dashboard/page.js", "text/javascript"),
            ("/dashboard/style.css", "text/css"), ("/dashboard/icon.svg", "image/svg+xml"),
        ):  # fmt: skip
            first = await get(here, path)
            assert first.headers["content-type"].startswith(kind)
            assert first.headers["cache-control"] == "no-cache"
            tag = first.headers["etag"]
            for told in (tag, f'"other", W/{tag}'):
                again = await here_and_back(here, path, told)
                assert again == (304, tag)
            assert (await here_and_back(here, path, '"other"'))[0] == 200
        slash = await get(here, "/dashboard/")
        assert (slash.status, slash.headers["location"]) == (308, "../dashboard")
        for path in ("/dashboard/index.html", "/dashboard/../settings.py", "/dashboard/static/page.js", "/dashboard/x"):
            assert (await get(here, path)).status == 404
        assert (await ask(here.port, request("POST", "/dashboard/feed"))).status == 405


async def here_and_back(here: GatewayHere, path: str, tag: str) -> tuple[int, str]:
    reader, writer = await here.connect()
    writer.write(request("GET", path, if_none_match=tag))
    status, headers = await read_head(reader)
    return status, headers["etag"]


async def test_viewers_are_counted_and_no_more_than_so_many_may_look() -> None:
    async with watched(tenants=TENANTS) as here:
        viewers = [await Watching(here, OURS).open() for _ in range(MOST_VIEWERS)]
        answer = await get(here, "/dashboard/feed", OURS)
        assert (answer.status, answer.error["code"]) == (429, "too_many_viewers")
        await Watching(here, THEIRS).open()
        viewers[0].writer.transport.abort()
        await until(lambda: len(here.serving.gateway.open) == MOST_VIEWERS)
        await Watching(here, OURS).open()


async def test_what_happens_between_two_looks_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "EVERY_S", 0.2)
    async with watched() as here:
        viewer = await Watching(here).open()
        await asyncio.gather(*(ask(here.port, completion(CHAT)) for _ in range(8)))
        await viewer.until_ended(8)
        assert len(viewer.programs) == 8
        assert len(viewer.events) < 8, "many more things happened: 8 starts, 24 branches, 8 ends"


async def test_a_gateway_that_ends_waits_for_no_viewer() -> None:
    async with watched() as here:
        viewer = await Watching(here).open()
        here.serving.draining.begin()
        while await viewer.next() != "closing":
            pass
        await until(lambda: not here.serving.gateway.open)
        assert (await get(here, "/dashboard/feed")).status == 503
        assert (await get(here, "/dashboard")).status == 200
