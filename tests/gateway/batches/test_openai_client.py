"""Files and batches as OpenAI's own client uses them, over a real socket, with a real backend behind."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types import Batch

from dynasor.gateway.batches.store import DatabaseStore
from dynasor.gateway.batches.transactions import Sql, StoreFault
from dynasor.gateway.keys import hash_of
from dynasor.launch import batching
from support.batch_files import CHAT, begun, client_of, ended, followed, jsonl, line, lines_of, store_of
from support.faulty_app import FaultyApp
from support.gateways import KEY, GatewayHere, faulty, gateway
from support.live_engine import until

pytestmark = pytest.mark.slow
OTHERS_KEY = KEY.replace("tests", "others")


@asynccontextmanager
async def answering(folder: Path, **settings: Any) -> AsyncIterator[tuple[GatewayHere, openai.AsyncOpenAI, FaultyApp]]:
    """A gateway with batches, a client of it and the backend behind it."""
    batches = {"store": store_of(folder)} | settings.pop("batches", {})
    key = KEY if "tenants" in settings else "none"
    async with (
        faulty() as (url, app),
        gateway(url, batches=batches, **settings) as here,
        client_of(here, key) as client,
    ):
        yield here, client, app


def completed(batch: Batch) -> int:
    return 0 if batch.request_counts is None else batch.request_counts.completed


def tenant(name: str, key: str, **told: Any) -> dict[str, Any]:
    return {"name": name, "key_hashes": [hash_of(key)]} | told


async def test_a_batch_is_answered(tmp_path: Path) -> None:
    lines = [line(f"request-{number}", f"{number} + 1?") for number in range(40)]
    async with answering(tmp_path) as (_, client, app):
        made = await begun(client, lines, metadata={"night": "3"})
        assert (made.object, made.status, made.endpoint) == ("batch", "validating", "/v1/chat/completions")
        assert made.expires_at is not None
        assert made.expires_at - made.created_at == 24 * 3600
        batch = await ended(client, made.id)
        assert batch.status == "completed"
        assert batch.request_counts is not None
        assert batch.request_counts.to_dict() == {"total": 40, "completed": 40, "failed": 0}
        assert (batch.metadata, batch.model, batch.error_file_id) == ({"night": "3"}, "tiny", None)
        assert (
            batch.created_at <= (batch.in_progress_at or 0) <= (batch.finalizing_at or 0) <= (batch.completed_at or 0)
        )
        told = await lines_of(client, batch.output_file_id)
        assert [row["custom_id"] for row in told] == [row["custom_id"] for row in lines]
        assert len(app.ledger.received) == 40
        for row in told:
            assert row["error"] is None
            assert row["response"]["status_code"] == 200
            assert "The answer is" in row["response"]["body"]["choices"][0]["message"]["content"]
        assert batch.usage is not None
        assert batch.usage.input_tokens == 40 * 7
        assert batch.usage.output_tokens == sum(row["response"]["body"]["usage"]["completion_tokens"] for row in told)
        output = await client.files.retrieve(batch.output_file_id or "")
        assert (output.purpose, output.filename) == ("batch_output", f"{batch.id}_output.jsonl")
        assert output.bytes == len((await client.files.content(output.id)).content)


async def test_what_is_wrong_is_in_the_error_file(tmp_path: Path) -> None:
    lines = [line("good"), line("bad", "[[fault: status=422 message=no_way]]"), line("gone", model="nowhere@sc")]
    async with answering(tmp_path) as (_, client, app):
        batch = await ended(client, (await begun(client, lines)).id)
        assert batch.status == "completed"
        assert batch.request_counts is not None
        assert batch.request_counts.to_dict() == {"total": 3, "completed": 1, "failed": 2}
        assert [row["custom_id"] for row in await lines_of(client, batch.output_file_id)] == ["good"]
        bad, gone = await lines_of(client, batch.error_file_id)
        assert (bad["custom_id"], bad["response"]["status_code"], bad["error"]) == ("bad", 422, None)
        assert bad["response"]["body"]["error"]["message"] == "no way"
        assert (gone["response"]["status_code"], gone["response"]["body"]["error"]["code"]) == (404, "model_not_found")
        assert len(app.ledger.received) == 2, "what is refused is not asked again"


async def test_what_may_pass_is_asked_again(tmp_path: Path) -> None:
    lines = [
        line("overloaded", "[[fault: status=429 times=2 retry_after_ms=30]]"),
        line("starting", "[[fault: status=503 times=2 retry_after_ms=30]]"),
        line("broken", "[[fault: status=500 times=2 retry_after_ms=30]]"),
        line("broken for good", "[[fault: status=500 retry_after_ms=30]]"),
    ]
    async with answering(tmp_path) as (_, client, app):
        batch = await ended(client, (await begun(client, lines)).id)
        assert batch.request_counts is not None
        assert batch.request_counts.to_dict() == {"total": 4, "completed": 3, "failed": 1}
        (row,) = await lines_of(client, batch.error_file_id)
        assert (row["custom_id"], row["response"]["status_code"]) == ("broken for good", 500)
        assert len(app.ledger.received) == 4 * 3


async def test_a_file_that_is_wrong_fails_with_its_lines(tmp_path: Path) -> None:
    lines = [line("a"), b"{", line("a"), line("b", url="/v1/completions"), line("c", stream=True)]
    async with answering(tmp_path) as (_, client, app):
        batch = await ended(client, (await begun(client, lines)).id)
        assert (batch.status, batch.output_file_id, batch.in_progress_at) == ("failed", None, None)
        assert batch.failed_at is not None
        assert batch.errors is not None
        assert batch.errors.object == "list"
        assert [(fault.line, fault.code, fault.param) for fault in batch.errors.data or []] == [
            (2, "invalid_json_line", None),
            (3, "duplicate_custom_id", "custom_id"),
            (4, "mismatched_url", "url"),
            (5, "unsupported_value", "body.stream"),
        ]
        empty = await ended(client, (await begun(client, [b"", b""])).id)
        assert empty.errors is not None
        assert [(fault.line, fault.code) for fault in empty.errors.data or []] == [(None, "empty_file")]
        assert app.ledger.received == []


async def test_a_batch_that_is_cancelled_gives_what_is_done(tmp_path: Path) -> None:
    lines = [line(f"quick-{number}", f"{number}?") for number in range(3)]
    lines += [line(f"slow-{number}", f"{number} [[fault: tokens=2000 slow=0.05]]") for number in range(60)]
    async with answering(tmp_path) as (_, client, app):
        made = await begun(client, lines)
        await followed(client, made.id, lambda batch: completed(batch) == 3)
        await until(lambda: app.ledger.active == 32)
        batch = await client.batches.cancel(made.id)
        assert (batch.status, batch.cancelling_at is None) == ("cancelling", False)
        batch = await ended(client, made.id)
        assert batch.status == "cancelled"
        assert batch.cancelled_at is not None
        await until(lambda: app.ledger.active == 0)
        assert len(app.ledger.received) == 3 + 32, "nothing began any more"
        assert {row["custom_id"] for row in await lines_of(client, batch.output_file_id)} == {
            "quick-0",
            "quick-1",
            "quick-2",
        }
        errors = await lines_of(client, batch.error_file_id)
        assert [row["custom_id"] for row in errors] == [f"slow-{number}" for number in range(60)]
        assert {row["error"]["code"] for row in errors} == {"batch_cancelled"}
        assert (await client.batches.cancel(made.id)).status == "cancelled", "to say it twice changes nothing"
        done = await ended(client, (await begun(client, lines[:1])).id)
        with pytest.raises(openai.ConflictError, match="this batch is completed"):
            await client.batches.cancel(done.id)


async def test_a_batch_whose_window_is_over_gives_what_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1_000_000]
    monkeypatch.setattr(batching, "epoch_s", lambda: now[0])
    lines = [line("quick"), line("slow", "[[fault: tokens=2000 slow=0.05]]")]
    async with answering(tmp_path) as (_, client, app):
        made = await begun(client, lines, completion_window="90m")
        assert made.expires_at == now[0] + 90 * 60
        await followed(client, made.id, lambda batch: completed(batch) == 1)
        await until(lambda: app.ledger.active == 1)
        now[0] += 90 * 60
        batch = await ended(client, made.id)
        assert (batch.status, batch.expired_at) == ("expired", now[0])
        await until(lambda: app.ledger.active == 0)
        assert [row["custom_id"] for row in await lines_of(client, batch.output_file_id)] == ["quick"]
        (row,) = await lines_of(client, batch.error_file_id)
        assert (row["custom_id"], row["error"]["code"]) == ("slow", "batch_expired")


async def test_reasoning_and_plain_text_are_answered_as_over_http(tmp_path: Path) -> None:
    lines = [line("voted", "What is 1 + 1?", model="tiny@sc:cap=5", seed=1, dynasor={"alternatives": True})]
    async with answering(tmp_path) as (here, client, _):
        batch = await ended(client, (await begun(client, lines)).id)
        (row,) = await lines_of(client, batch.output_file_id)
        assert row["response"]["body"]["dynasor"]["branches"] >= 3
        assert row["response"]["body"]["usage"]["completion_tokens_details"]["reasoning_tokens"] > 0
        plain = await begun(client, [line("plain", url="/v1/completions")], endpoint="/v1/completions")
        (row,) = await lines_of(client, (await ended(client, plain.id)).output_file_id)
        assert "The answer is" in row["response"]["body"]["choices"][0]["text"]
        lanes = {lane.tenant.name: lane.served_tokens for lane in here.serving.admission.turns.lanes}
        assert lanes["everybody/batch"] > 0, "it was admitted and counted"


async def test_files_and_batches_are_their_tenants(tmp_path: Path) -> None:
    tenants = [tenant("team", KEY), tenant("others", OTHERS_KEY)]
    async with answering(tmp_path, tenants=tenants) as (here, client, _), client_of(here, OTHERS_KEY) as other:
        batch = await ended(client, (await begun(client, [line("a")])).id)
        assert [told.id async for told in other.batches.list()] == []
        assert [told.id async for told in other.files.list()] == []
        for attempt in (
            other.batches.retrieve(batch.id),
            other.batches.cancel(batch.id),
            other.batches.list(after=batch.id),
            other.files.retrieve(batch.input_file_id),
            other.files.content(batch.output_file_id or ""),
            other.files.delete(batch.input_file_id),
            other.files.list(after=batch.input_file_id),
            other.batches.create(
                input_file_id=batch.input_file_id, endpoint="/v1/chat/completions", completion_window="24h"
            ),
        ):
            with pytest.raises(openai.NotFoundError):
                await attempt
        asked: Any = {"model": "tiny", "messages": [{"role": "user", "content": "?"}]}
        await other.chat.completions.create(**asked, extra_headers={"x-dynasor-batch-tenant": "team"})
        assert {lane.tenant.name for lane in here.serving.admission.turns.lanes} == {"team/batch", "others"}
        async with client_of(here, "wrong") as nobody:
            with pytest.raises(openai.AuthenticationError):
                await nobody.files.list()
            with pytest.raises(openai.AuthenticationError):
                await nobody.files.create(file=b"x", purpose="batch")
        assert (await client.files.content(batch.output_file_id or "")).content


async def test_lists_come_in_pages(tmp_path: Path) -> None:
    async with answering(tmp_path) as (_, client, _):
        made = [await begun(client, [line("a")]) for _ in range(5)]
        newest_first = [batch.id for batch in reversed(made)]
        assert [batch.id async for batch in client.batches.list(limit=2)] == newest_first
        page = await client.batches.list(limit=2)
        assert (page.has_more, [batch.id for batch in page.data]) == (True, newest_first[:2])
        for batch in made:
            await ended(client, batch.id)
        inputs = [batch.input_file_id for batch in made]
        assert [file.id async for file in client.files.list(purpose="batch", order="asc", limit=2)] == inputs
        outputs = [file async for file in client.files.list(purpose="batch_output")]
        assert len(outputs) == 5
        assert (await client.files.delete(inputs[0])).to_dict() == {"id": inputs[0], "object": "file", "deleted": True}
        with pytest.raises(openai.NotFoundError, match="there is no file"):
            await client.files.retrieve(inputs[0])
        await client.files.delete(outputs[0].id)
        with pytest.raises(openai.NotFoundError):
            await client.files.content(outputs[0].id)


async def test_what_cannot_be_is_refused_with_the_field(tmp_path: Path) -> None:
    few = {"file_bytes": 2000, "tenant_batches": 1, "tenant_bytes": 2500, "keep_days": 7}
    async with answering(tmp_path, batches=few) as (_, client, app):
        with pytest.raises(openai.BadRequestError, match="purpose is 'fine-tune'"):
            await client.files.create(file=b"x", purpose="fine-tune")
        with pytest.raises(openai.APIStatusError, match="2000 is the most"):
            await client.files.create(file=b"x" * 2001, purpose="batch")
        with pytest.raises(openai.APIStatusError, match="more than") as refused:
            await client.files.create(file=b"x" * 5_000_000, purpose="batch")
        assert refused.value.status_code == 413
        expiry: Any = {"anchor": "created_at", "seconds": 60}
        with pytest.raises(openai.BadRequestError, match="expires_after"):
            await client.files.create(file=b"x", purpose="batch", expires_after=expiry)
        assert (await client.files.list()).data == [], "nothing is left of what was refused"
        file = await client.files.create(
            file=("a.jsonl", jsonl([line("a", "[[fault: hang=1 tokens=9]]")])), purpose="batch",
            expires_after={"anchor": "created_at", "seconds": 3600},
        )  # fmt: skip
        assert file.expires_at == file.created_at + 3600
        right: dict[str, Any] = {"input_file_id": file.id, "endpoint": CHAT, "completion_window": "24h"}
        for wrong, told in (
            ({"endpoint": "/v1/embeddings"}, "endpoint"),
            ({"completion_window": "fortnight"}, "completion_window"),
            ({"completion_window": "8d"}, "completion_window"),
            ({"metadata": {"k": "v" * 513}}, "metadata"),
            ({"metadata": {"k" * 65: "v"}}, "metadata"),
            ({"metadata": {str(number): "" for number in range(17)}}, "metadata"),
            ({"output_expires_after": {"anchor": "later", "seconds": 3600}}, "output_expires_after"),
            ({"output_expires_after": {"anchor": "created_at", "seconds": 86_400 * 8}}, "output_expires_after"),
            ({"input_file_id": 3}, "input_file_id"),
        ):
            with pytest.raises(openai.BadRequestError) as refusal:
                await client.batches.create(**right | wrong)
            assert refusal.value.param == told
        made = await client.batches.create(**right, metadata={str(number): "v" for number in range(16)})
        with pytest.raises(openai.RateLimitError, match="1 batches that have not ended"):
            await client.batches.create(**right)
        await until(lambda: app.ledger.active == 1)
        await client.batches.cancel(made.id)
        batch = await ended(client, made.id)
        with pytest.raises(openai.BadRequestError, match="purpose batch_output"):
            await client.batches.create(**right | {"input_file_id": batch.error_file_id})
        for size in (1900, 600):  # the last one may go beyond what a tenant has left, and is the last
            await client.files.create(file=b"x" * size, purpose="batch")
        with pytest.raises(openai.APIStatusError, match="delete some"):
            await client.files.create(file=b"x", purpose="batch")
        await until(lambda: app.ledger.active == 0)


async def test_a_quota_is_waited_for(tmp_path: Path) -> None:
    lines = [line(f"{number}", f"{number}?") for number in range(62)]
    tenants = [tenant("team", KEY, requests_per_minute=60, concurrency=4)]
    async with answering(tmp_path, tenants=tenants) as (here, client, app):
        batch = await ended(client, (await begun(client, lines)).id)
        assert batch.request_counts is not None
        assert batch.request_counts.to_dict() == {"total": 62, "completed": 62, "failed": 0}
        assert (len(app.ledger.received), here.serving.admission.refused_count) == (62, 0)
        with pytest.raises(openai.RateLimitError):
            await asyncio.gather(
                *(
                    client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": "?"}])
                    for _ in "ab"
                )
            )


async def test_odd_characters_are_no_fault_of_the_store(store_setting: str) -> None:
    odd = "a\0\U0001f680\u2028'; --"
    async with faulty() as (url, _), gateway(url, batches={"store": store_setting}) as here, client_of(here) as client:
        file = await client.files.create(
            file=(odd, jsonl([line(odd, odd, model="tiny"), line("b", model=odd)])), purpose="batch"
        )
        batch = await client.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={odd: odd}
        )
        batch = await ended(client, batch.id)
        assert (batch.status, batch.metadata) == ("completed", {odd: odd})
        assert odd in [row["custom_id"] for row in await lines_of(client, batch.output_file_id)]
        broken = await ended(client, (await begun(client, [line(odd) | {"url": odd}])).id)
        assert broken.status == "failed"
        for path in ("/files/%00", "/files/file-%00", "/batches/batch_%00", "/files?after=%00", "/batches?after=%ff"):
            with pytest.raises(openai.NotFoundError):
                await client.get(path, cast_to=object)
        assert await client.get("/files?purpose=%00", cast_to=object) == {
            "object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False,
        }  # fmt: skip
        with pytest.raises(openai.NotFoundError):
            await client.batches.create(input_file_id="\0", endpoint="/v1/chat/completions", completion_window="24h")


@pytest.mark.parametrize("behind", [True, False], ids=["behind the commit", "before it"])
async def test_a_store_that_fails_now_and_then_loses_nothing(
    behind: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes, faults, write = count(), list[int](), DatabaseStore.write

    async def failing(self: DatabaseStore, operation: Callable[[Sql], Any]) -> Any:
        fails = next(writes) % 3 == 1 and len(faults) < 12
        told = await write(self, operation) if behind or not fails else None
        if fails:
            faults.append(1)
            raise StoreFault(RuntimeError("the connection is gone"))
        return told

    lines = [line(f"{number}", f"{number}? [[fault: slow_first=0.02]]") for number in range(12)]
    async with answering(tmp_path, batches={"concurrency": 2}) as (_, client, app):
        file = await client.files.create(file=("a.jsonl", jsonl(lines)), purpose="batch")
        made = await client.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
        monkeypatch.setattr(DatabaseStore, "write", failing)
        batch = await ended(client, made.id, limit_s=120)
        assert batch.status == "completed"
        assert len(faults) == 12
        told = await lines_of(client, batch.output_file_id)
        assert [row["custom_id"] for row in told] == [row["custom_id"] for row in lines]
        assert len(app.ledger.received) == 12, "nothing was asked twice"


async def test_a_large_file_is_stored_in_pieces_and_comes_back(tmp_path: Path) -> None:
    content = b"".join(b"%07d\n" % number for number in range(300_000))
    async with answering(tmp_path) as (_, client, _):
        file = await client.files.create(file=("big.jsonl", content), purpose="batch")
        assert (file.bytes, file.filename) == (len(content), "big.jsonl")
        assert (await client.files.content(file.id)).content == content
        batch = await ended(
            client,
            (
                await client.batches.create(
                    input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
                )
            ).id,
        )
        assert batch.errors is not None
        assert len(batch.errors.data or []) == 100


async def test_without_a_store_one_is_told_how_to_get_it() -> None:
    async with faulty() as (url, _), gateway(url) as here, client_of(here) as client:
        for attempt in (
            client.files.create(file=b"x", purpose="batch"),
            client.batches.create(input_file_id="file-1", endpoint="/v1/chat/completions", completion_window="24h"),
            client.batches.retrieve("batch_1"),
            client.batches.cancel("batch_1"),
        ):
            with pytest.raises(openai.NotFoundError, match="--batch-store sqlite:FILE"):
                await attempt
