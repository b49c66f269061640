"""`/v1/batches`: a file of requests becomes a batch, which is looked at, listed and cancelled."""

from collections.abc import Callable
from typing import Any

import msgspec

from dynasor.gateway.batches import batch_rows, file_rows
from dynasor.gateway.batches.chores import new_id
from dynasor.gateway.batches.file_routes import expiry_s, limit, query
from dynasor.gateway.batches.input_lines import ENDPOINTS
from dynasor.gateway.batches.objects import batch_object, page
from dynasor.gateway.batches.paths import BATCHES
from dynasor.gateway.batches.records import BATCH, BATCH_ID, ENDED, FILE_ID, Batch, Status, is_id
from dynasor.gateway.batches.settings import BatchSettings, window_s
from dynasor.gateway.batches.store import Store
from dynasor.gateway.draining import Draining
from dynasor.gateway.exchange import Exchange
from dynasor.gateway.keys import Doorkeeper
from dynasor.gateway.refusals import Refused

_CANCEL = "/cancel"
_BODY_BYTES = 64 << 10
_LISTED, _MOST_LISTED = 20, 100
_PAIRS, _LONGEST_KEY, _LONGEST_VALUE = 16, 64, 512


class _Expiry(msgspec.Struct):
    anchor: str
    seconds: int


class _Asked(msgspec.Struct):
    """The body that makes a batch."""

    input_file_id: str
    endpoint: str
    completion_window: str
    metadata: dict[str, str] | None = None
    output_expires_after: _Expiry | None = None


class BatchRoutes:
    """The routes. A batch is its tenant's: to others it is not there."""

    def __init__(
        self, store: Store, settings: BatchSettings, door: Doorkeeper, draining: Draining, epoch: Callable[[], int],
        changed: Callable[[], None],
    ) -> None:  # fmt: skip
        """Nothing is asked yet.

        Args:
            store: holds everything.
            settings: of batches.
            door: knows whose request it is.
            draining: whether new requests are taken.
            epoch: seconds of the epoch.
            changed: is called when there is something new to do.
        """
        self._store, self._settings = store, settings
        self._door, self._draining, self._epoch, self._changed = door, draining, epoch, changed

    async def create(self, exchange: Exchange) -> None:
        """`POST /v1/batches`. Once this is answered, every request of the batch will end, whatever happens."""
        tenant = self._door.tenant(exchange.headers).name
        self._draining.refuse()
        asked = _read(await exchange.body(_BODY_BYTES))
        batch = await self._made(tenant, asked)
        if not await self._store.write(lambda sql: batch_rows.create(sql, batch, self._settings.tenant_batches)):
            told = f"{tenant} has {self._settings.tenant_batches} batches that have not ended; wait, or cancel one"
            raise Refused(429, told, "too_many_batches", retry_after_s=60.0)
        self._changed()
        await _tell(exchange, batch)

    async def listing(self, exchange: Exchange) -> None:
        """`GET /v1/batches`: the newest first."""
        tenant = self._door.tenant(exchange.headers).name
        asked = query(exchange)
        count, after = limit(asked, _LISTED, _MOST_LISTED), asked.get("after")
        if after is not None:
            await self._batch(tenant, after)
        batches = await self._store.read(lambda sql: batch_rows.listed(sql, tenant, after, count + 1))
        told = [batch_object(batch) for batch in batches[:count]]
        await exchange.answer(200, msgspec.json.encode(page(told, has_more=len(batches) > count)))

    async def get(self, exchange: Exchange) -> None:
        """`GET /v1/batches/ID`."""
        tenant = self._door.tenant(exchange.headers).name
        await _tell(exchange, await self._batch(tenant, exchange.path.removeprefix(f"{BATCHES}/")))

    async def cancel(self, exchange: Exchange) -> None:
        """`POST /v1/batches/ID/cancel`: what is under way is cut, and what is done is given."""
        tenant = self._door.tenant(exchange.headers).name
        if not exchange.path.endswith(_CANCEL):
            raise Refused(404, f"a batch is cancelled by POST {BATCHES}/ID{_CANCEL}", "not_found")
        id = exchange.path.removeprefix(f"{BATCHES}/").removesuffix(_CANCEL)
        before = await self._batch(tenant, id)
        if before.status in ENDED and before.status != Status.CANCELLED:
            told = f"this batch is {before.status}; only one that goes on can be cancelled"
            raise Refused(409, told, "already_ended", "id")
        now = self._epoch()
        batch = await self._store.write(lambda sql: batch_rows.cancel(sql, tenant, id, now))
        self._changed()
        await _tell(exchange, batch or before)

    async def _made(self, tenant: str, asked: _Asked) -> Batch:
        if asked.endpoint not in ENDPOINTS:
            told = f"endpoint is '{asked.endpoint[:80]}'; it must be {' or '.join(ENDPOINTS)}"
            raise Refused(400, told, "invalid_value", "endpoint")
        id, now = asked.input_file_id, self._epoch()
        file = await self._store.read(lambda sql: file_rows.find(sql, tenant, id)) if is_id(id, FILE_ID) else None
        if file is None or file.expires_at <= now:
            told = f"there is no file '{id[:80]}'; upload it with the purpose batch"
            raise Refused(404, told, "file_not_found", "input_file_id")
        if file.purpose != BATCH:
            raise Refused(400, f"{file.id} has the purpose {file.purpose}; it must be batch", "invalid_value",
                          "input_file_id")  # fmt: skip
        return Batch(
            new_id(BATCH_ID), tenant, asked.endpoint, file.id, asked.completion_window, now,
            now + self._window_s(asked.completion_window), Status.VALIDATING.value, metadata=_metadata(asked.metadata),
            output_expires_s=self._output_expires_s(asked.output_expires_after),
        )  # fmt: skip

    def _window_s(self, told: str) -> int:
        seconds = window_s(told)
        if seconds is None or seconds > self._settings.keep_s:
            most = self._settings.keep_days
            words = f"completion_window is '{told[:40]}'; it must be such as 24h, 90m or 7d, and {most}d at most"
            raise Refused(400, words, "invalid_value", "completion_window")
        return seconds

    def _output_expires_s(self, told: _Expiry | None) -> int | None:
        if told is None:
            return None
        if told.anchor != "created_at":
            raise Refused(400, f"output_expires_after.anchor is '{told.anchor[:40]}'; it must be created_at",
                          "invalid_value", "output_expires_after")  # fmt: skip
        return expiry_s(told.seconds, self._settings, "output_expires_after")

    async def _batch(self, tenant: str, id: str) -> Batch:
        batch = await self._store.read(lambda sql: batch_rows.find(sql, tenant, id)) if is_id(id, BATCH_ID) else None
        if batch is None:
            raise Refused(404, f"there is no batch '{id[:80]}'", "batch_not_found", "id")
        return batch


def _read(body: bytes) -> _Asked:
    try:
        return msgspec.json.decode(body, type=_Asked)
    except msgspec.ValidationError as fault:
        told = str(fault)
        field = told.partition("missing required field `")[2].partition("`")[0] or told.partition("`$.")[2].rstrip("`")
        raise Refused(400, f"the body cannot be read: {told}", "invalid_value", field or None) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise Refused(400, f"the body is not JSON: {fault}", "invalid_json") from None


def _metadata(told: dict[str, str] | None) -> str | None:
    if told is None:
        return None
    longest = all(len(key) <= _LONGEST_KEY and len(value) <= _LONGEST_VALUE for key, value in told.items())
    if len(told) > _PAIRS or not longest:
        words = (
            f"metadata may hold {_PAIRS} pairs, with keys of {_LONGEST_KEY} and values of {_LONGEST_VALUE} characters"
        )
        raise Refused(400, f"{words} at most", "invalid_value", "metadata")
    return msgspec.json.encode(told).decode()


async def _tell(exchange: Exchange, batch: Batch) -> None:
    told: dict[str, Any] = batch_object(batch)
    await exchange.answer(200, msgspec.json.encode(told))
