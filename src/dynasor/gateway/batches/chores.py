"""What is done with whole batches: their input is read into items, and in the end their output is put together.

Each step is durable, and whoever comes after a gateway that was killed in its midst begins it anew or goes on: items
are read again from the start, and those that have ended have ended. It runs no item.
"""

import secrets
from collections.abc import AsyncIterator, Callable
from functools import partial

import msgspec

from dynasor.gateway.batches import batch_rows, file_rows, item_rows
from dynasor.gateway.batches.input_lines import InputLines, LineCutter, LineFault, no_requests
from dynasor.gateway.batches.output_lines import unrun
from dynasor.gateway.batches.records import FILE_ID, Batch, Item, Status
from dynasor.gateway.batches.settings import BatchSettings
from dynasor.gateway.batches.store import Store
from dynasor.gateway.batches.transactions import Sql
from dynasor.gateway.limits import Limits

_MOST_FAULTS = 100  # told of one input
_PAGE, _PAGE_BYTES = 500, 1 << 20
_PIECES = 4  # read at one time


class Chores:
    """What a gateway does beside running items."""

    def __init__(
        self, store: Store, owner: str, settings: BatchSettings, limits: Limits, epoch: Callable[[], int]
    ) -> None:
        """Nothing is done yet.

        Args:
            store: holds everything.
            owner: this gateway.
            settings: of batches.
            limits: of every request.
            epoch: seconds of the epoch.
        """
        self._store, self._owner, self._settings, self._limits, self._epoch = store, owner, settings, limits, epoch

    async def take(self) -> Batch | None:
        """A batch that has to be read or concluded."""
        return await self._store.write(lambda sql: batch_rows.take_chore(sql, self._owner, self._epoch()))

    async def do(self, batch: Batch) -> None:
        """Read or conclude a batch that was taken."""
        try:
            if batch.status == Status.VALIDATING:
                await self._read(batch)
            else:
                await self._conclude(batch)
        finally:
            await self._store.write(lambda sql: batch_rows.end_chore(sql, self._owner, batch.id))

    async def purge(self) -> None:
        """Delete what was kept long enough."""
        now = self._epoch()
        while await self._store.write(lambda sql: file_rows.drop_expired(sql, now)):
            pass
        before = now - self._settings.keep_s
        while await self._store.write(lambda sql: batch_rows.drop_old(sql, before)):
            pass

    async def _read(self, batch: Batch) -> None:
        """Judge every line, and make items of them; all are there before the first may run."""
        await self._change(batch, partial(item_rows.drop_all, batch=batch.id))
        lines = InputLines(batch, self._limits, self._settings.file_requests)
        faults, page, size = [], list[Item](), 0
        async for line in self._lines(batch, lines.longest):
            judged = lines.judge(line)
            if isinstance(judged, LineFault):
                faults.append(judged)
                if len(faults) == _MOST_FAULTS or judged.code == "too_many_requests":
                    break
            elif judged is not None and not faults:
                page.append(judged)
                size += len(judged.body)
                if len(page) == _PAGE or size > _PAGE_BYTES:
                    await self._change(batch, partial(item_rows.add, items=page))
                    page, size = [], 0
        if not faults and not lines.count:
            faults = [no_requests()]
        if faults:
            await self._fail(batch, faults)
        else:
            await self._change(batch, partial(item_rows.add, items=page))
            await self._start(batch, lines)

    async def _lines(self, batch: Batch, longest: int) -> AsyncIterator[bytes]:
        file = await self._store.read(lambda sql: file_rows.find(sql, batch.tenant, batch.input_file))
        if file is None:
            return
        cutter, place = LineCutter(longest), -1
        while pieces := await self._store.read(partial(file_rows.pieces, file=file, after=place, count=_PIECES)):
            place = pieces[-1][0]
            for _, piece in pieces:
                for line in cutter.feed(piece):
                    yield line
        for line in cutter.end():
            yield line

    async def _change(self, batch: Batch, operation: Callable[[Sql], None]) -> None:
        """Change the items of a batch, unless another gateway is at it by now."""
        await self._store.write(lambda sql: operation(sql) if batch_rows.is_at(sql, self._owner, batch.id) else None)

    async def _start(self, batch: Batch, lines: InputLines) -> None:
        await self._store.write(
            lambda sql: batch_rows.start(
                sql, self._owner, batch.id, total=lines.count, model=lines.model, now=self._epoch()
            )
        )

    async def _fail(self, batch: Batch, faults: list[LineFault]) -> None:
        told = msgspec.json.encode(faults).decode()
        await self._change(batch, partial(item_rows.drop_all, batch=batch.id))
        await self._store.write(lambda sql: batch_rows.fail(sql, self._owner, batch.id, told, self._epoch()))

    async def _conclude(self, batch: Batch) -> None:
        """End what will not run any more, and then the batch."""
        if batch.in_progress_at is None:  # it was cancelled while it was read
            await self._change(batch, partial(item_rows.drop_all, batch=batch.id))
        ending = batch.ending or Status.COMPLETED
        while left := await self._store.read(lambda sql: item_rows.unfinished(sql, batch.id, _PAGE)):
            results = [unrun(item, ending) for item in left]
            await self._store.write(partial(item_rows.finish, results=results, now=self._epoch()))
        ids = (new_id(FILE_ID), new_id(FILE_ID))
        now, keep_s = self._epoch(), self._settings.keep_s
        await self._store.write(lambda sql: batch_rows.conclude(sql, batch, ids, now, keep_s))


def new_id(prefix: str) -> str:
    """An id that nobody can guess."""
    return prefix + secrets.token_hex(12)
