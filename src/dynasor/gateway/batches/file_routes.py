"""`/v1/files`: requests for batches come up as files, and their answers are fetched as such."""

import asyncio
from collections.abc import Callable
from functools import partial
from urllib.parse import parse_qs

import msgspec

from dynasor.gateway.batches import file_rows
from dynasor.gateway.batches.chores import new_id
from dynasor.gateway.batches.form import Form
from dynasor.gateway.batches.objects import file_object, page
from dynasor.gateway.batches.paths import FILES
from dynasor.gateway.batches.records import BATCH, FILE_ID, OUTPUT, StoredFile, is_id
from dynasor.gateway.batches.settings import BatchSettings
from dynasor.gateway.batches.store import Store
from dynasor.gateway.batches.transactions import Sql
from dynasor.gateway.draining import Draining
from dynasor.gateway.exchange import ClientLeft, Exchange
from dynasor.gateway.keys import Doorkeeper
from dynasor.gateway.refusals import Refused

_CONTENT = "/content"
_PIECE = 256 << 10  # bytes of a file in one row
_PIECES, _LINES = 4, 16  # of an upload, or of a batch's output, sent after one look into the store
_FORM_BYTES = 64 << 10  # of an upload, beside the file
_IDLE_S, _UPLOAD_S = 60.0, 3600.0
_LISTED = 10_000
_SHORTEST_S = 3600


class FileRoutes:
    """The routes. A file is its tenant's: to others it is not there."""

    def __init__(
        self, store: Store, owner: str, settings: BatchSettings, door: Doorkeeper, draining: Draining,
        epoch: Callable[[], int],
    ) -> None:  # fmt: skip
        """Nothing is asked yet.

        Args:
            store: holds everything.
            owner: this gateway.
            settings: of batches.
            door: knows whose request it is.
            draining: whether new requests are taken.
            epoch: seconds of the epoch.
        """
        self._store, self._owner, self._settings = store, owner, settings
        self._door, self._draining, self._epoch = door, draining, epoch

    async def upload(self, exchange: Exchange) -> None:
        """`POST /v1/files`."""
        tenant = self._door.tenant(exchange.headers).name
        self._draining.refuse()
        form, now = Form(exchange.headers), self._epoch()
        file = StoredFile(new_id(FILE_ID), tenant, "", BATCH, 0, now, now + self._settings.keep_s)
        await self._store.write(lambda sql: self._begin(sql, file))
        try:
            size = await self._taken(exchange, form, file.id)
            whole = msgspec.structs.replace(file, filename=form.end(), bytes=size, expires_at=now + self._kept_s(form))
            await self._store.write(lambda sql: _end(sql, whole))
        except BaseException:
            await self._store.write(lambda sql: file_rows.drop(sql, file))
            raise
        await exchange.answer(200, msgspec.json.encode(file_object(whole)))

    async def listing(self, exchange: Exchange) -> None:
        """`GET /v1/files`: the newest first, unless told otherwise."""
        tenant = self._door.tenant(exchange.headers).name
        asked = query(exchange)
        order = asked.get("order", "desc")
        if order not in ("asc", "desc"):
            raise Refused(400, f"order is '{order[:40]}'; it must be asc or desc", "invalid_value", "order")
        count, after, purpose = limit(asked, _LISTED, _LISTED), asked.get("after"), asked.get("purpose")
        if after is not None:
            await self._file(tenant, after)
        listed = partial(
            file_rows.listed, tenant=tenant, purpose=purpose, after=after, newest_first=order == "desc", count=count + 1
        )
        files = await self._store.read(listed) if purpose in (None, BATCH, OUTPUT) else []
        told = [file_object(file) for file in files[:count]]
        await exchange.answer(200, msgspec.json.encode(page(told, has_more=len(files) > count)))

    async def get(self, exchange: Exchange) -> None:
        """`GET /v1/files/ID`, and `/content` behind it."""
        tenant = self._door.tenant(exchange.headers).name
        path = exchange.path.removeprefix(f"{FILES}/")
        file = await self._file(tenant, path.removesuffix(_CONTENT))
        if path.endswith(_CONTENT):
            await self._send(exchange, file)
        else:
            await exchange.answer(200, msgspec.json.encode(file_object(file)))

    async def delete(self, exchange: Exchange) -> None:
        """`DELETE /v1/files/ID`."""
        tenant = self._door.tenant(exchange.headers).name
        file = await self._file(tenant, exchange.path.removeprefix(f"{FILES}/"))
        reader = await self._store.write(lambda sql: file_rows.drop_unread(sql, file))
        if reader is not None:
            raise Refused(409, f"{reader} is still reading this file; delete it when that is in_progress", "in_use")
        await exchange.answer(200, msgspec.json.encode({"id": file.id, "object": "file", "deleted": True}))

    def _begin(self, sql: Sql, file: StoredFile) -> None:
        most = self._settings.tenant_bytes
        held = file_rows.held_bytes(sql, file.tenant, self._settings.file_bytes)
        if held >= most:
            told = f"{file.tenant} has {held} bytes of files, and may have {most}; delete some"
            raise Refused(413, told, "storage_full")
        file_rows.begin(sql, file, self._owner)

    async def _taken(self, exchange: Exchange, form: Form, id: str) -> int:
        try:
            async with asyncio.timeout(_UPLOAD_S):
                return await self._take(exchange, form, id)
        except TimeoutError:
            raise Refused(408, f"the file did not come within {_UPLOAD_S:g} s", "request_timeout") from None

    async def _take(self, exchange: Exchange, form: Form, id: str) -> int:
        """Keep the file's content piece by piece, as it comes; returns its bytes."""
        most, size, place, held = self._settings.file_bytes, 0, 0, bytearray()
        async for piece in exchange.pieces(most + _FORM_BYTES, _IDLE_S):
            held += form.feed(piece)
            while len(held) >= _PIECE:
                await self._keep(id, place, bytes(held[:_PIECE]))
                size, place = size + _PIECE, place + 1
                del held[:_PIECE]
        if held:
            await self._keep(id, place, bytes(held))
        size += len(held)
        if size > most:
            raise Refused(413, f"the file has {size} bytes; {most} is the most: make several", "file_too_large", "file")
        return size

    async def _keep(self, id: str, place: int, content: bytes) -> None:
        await self._store.write(lambda sql: file_rows.add_piece(sql, id, place, content))

    def _kept_s(self, form: Form) -> int:
        """Seconds that an upload is kept; its purpose is judged too."""
        purpose = form.fields.get("purpose")
        if purpose != BATCH:
            words = "is missing" if purpose is None else f"is '{purpose[:40]}'"
            raise Refused(
                400, f"purpose {words}; files are for batches here: make it batch", "invalid_value", "purpose"
            )
        told = form.fields.get("expires_after[seconds]")
        if told is None:
            return self._settings.keep_s
        return expiry_s(int(told) if told.isdecimal() and len(told) < 10 else 0, self._settings, "expires_after")

    async def _file(self, tenant: str, id: str) -> StoredFile:
        file = await self._store.read(lambda sql: file_rows.find(sql, tenant, id)) if is_id(id, FILE_ID) else None
        if file is None or file.expires_at <= self._epoch():
            raise Refused(404, f"there is no file '{id[:80]}'", "file_not_found", "id")
        return file

    async def _send(self, exchange: Exchange, file: StoredFile) -> None:
        name = file.filename.replace('"', "'").encode("ascii", "replace")
        await exchange.begin(
            200,
            [
                (b"content-type", b"application/octet-stream"),
                (b"content-length", b"%d" % file.bytes),
                (b"content-disposition", b'attachment; filename="%s"' % name),
            ],
        )
        place, count = -1, _PIECES if file.batch is None else _LINES
        while pieces := await self._store.read(partial(file_rows.pieces, file=file, after=place, count=count)):
            try:
                async with asyncio.timeout(_IDLE_S):
                    await exchange.send(b"".join(content for _, content in pieces))
            except TimeoutError:
                exchange.abort()
                raise ClientLeft from None
            place = pieces[-1][0]
        await exchange.end()


def _end(sql: Sql, file: StoredFile) -> None:
    if not file_rows.end(sql, file):
        raise Refused(503, "the upload took too long to be kept; send it again", "lost", retry_after_s=1.0)


def query(exchange: Exchange) -> dict[str, str]:
    """What follows the question mark; of a name that is given twice the last."""
    try:
        found = parse_qs(exchange.query, max_num_fields=32, keep_blank_values=True)
    except ValueError:
        raise Refused(400, "the query has too many fields", "invalid_value") from None
    return {name: values[-1] for name, values in found.items()}


def limit(asked: dict[str, str], usual: int, most: int) -> int:
    """How many are wanted."""
    told = asked.get("limit")
    if told is None:
        return usual
    if not (told.isdecimal() and len(told) < 10 and 1 <= int(told) <= most):
        raise Refused(400, f"limit is '{told[:40]}'; it must be 1 to {most}", "invalid_value", "limit")
    return int(told)


def expiry_s(seconds: int, settings: BatchSettings, param: str) -> int:
    """Seconds that a file is to be kept."""
    if not _SHORTEST_S <= seconds <= settings.keep_s:
        told = f"{param}.seconds must be {_SHORTEST_S} to {settings.keep_s}: no file is kept for longer here"
        raise Refused(400, told, "invalid_value", param)
    return seconds
