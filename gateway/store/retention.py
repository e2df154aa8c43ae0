"""Deletion of exchanges beyond ``server.retention_days`` and ``server.max_store_gb``.

In small batches: no request waits. Between two batches the database is free for twice the time of a batch. Several
gateways on one store may all delete: they read the same rows, and the second deletes nothing. The file does not shrink:
new records use its free pages.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from gateway.domain import Value
from gateway.errors import StoreError
from gateway.store.base import Store

log = logging.getLogger(__name__)

DAY_S = 86_400.0
GB = 10**9
INTERVAL_S = 60.0
"""Seconds between two looks for old exchanges."""
BATCH = 50
"""Exchanges of a batch: a few milliseconds. A larger batch is not quicker (0.12 ms an exchange)."""
REST = 2.0
"""Pause after a batch, as a multiple of its time."""

Bound = Literal["age", "size"]
"""The reason of a deletion."""


class Keeping(Value, frozen=True):
    """The bounds of what is kept."""

    days: float | None = None
    """``None``: of any age."""
    gigabytes: float = math.inf


class Retention:
    """Keeps a store within bounds. ``clock`` is in seconds since the epoch.

    ``keeping`` returns the bounds in effect. Each of ``others`` deletes texts from before a time elsewhere.
    ``deleted`` hears of every deletion.
    """

    def __init__(
        self,
        store: Store,
        keeping: Callable[[], Keeping],
        clock: Callable[[], float],
        *,
        others: Sequence[Callable[[float], int]] = (),
        deleted: Callable[[Bound, int], None] = lambda bound, number: None,
    ) -> None:
        self._store, self._keeping, self._clock = store, keeping, clock
        self._others, self._deleted = others, deleted
        self.bytes = 0
        """Size of the database at the last look."""

    async def run(self, interval_s: float = INTERVAL_S) -> None:
        """Look again and again until cancelled. After a failure of the store the next look tries again."""
        down = False
        while True:
            try:
                await self.look()
                down = False
            except StoreError as error:
                if not down:
                    log.warning("old exchanges cannot be deleted: %s", error, extra={"action": "retention.failed"})
                down = True
            await asyncio.sleep(interval_s)

    async def look(self) -> None:
        """Delete everything beyond the bounds. Raises ``StoreError``."""
        kept = self._keeping()
        if kept.days is not None:
            before = self._clock() - kept.days * DAY_S
            done = await self.clear(before)
            if done:
                log.info("%d old exchanges deleted", done, extra={"action": "retention.done"})
            copies = await asyncio.to_thread(clear_copies, self._store, before, self._others)
            if copies:
                log.info("%d old copies of texts deleted", copies, extra={"action": "retention.copies"})
        self.bytes = await asyncio.to_thread(self._store.size)
        if self.bytes > kept.gigabytes * GB:
            done = await self.shrink(int(kept.gigabytes * GB))
            log.warning(
                "the database reached server.max_store_gb (%g GB): %d of the oldest exchanges deleted",
                kept.gigabytes, done, extra={"action": "retention.full"},
            )  # fmt: skip

    async def clear(self, before: float) -> int:
        """Delete every exchange that arrived before a time; returns their number. Raises ``StoreError``."""
        return await self._delete("age", before, lambda: True)

    async def shrink(self, most_bytes: int) -> int:
        """Delete the oldest exchanges until the database has ``most_bytes``; returns their number.

        Raises ``StoreError``.
        """

        def too_large() -> bool:
            self.bytes = self._store.size()
            return self.bytes > most_bytes

        done = await self._delete("size", math.inf, too_large)
        await asyncio.to_thread(self._store.flush_deleted)
        return done

    async def _delete(self, bound: Bound, before: float, wanted: Callable[[], bool]) -> int:
        """Delete batch by batch while ``wanted`` and while there is something to delete."""
        done = 0
        while await asyncio.to_thread(wanted):
            began = time.perf_counter()
            deleted = await asyncio.to_thread(self._store.forget, before, limit=BATCH)
            done += deleted
            self._deleted(bound, deleted)
            if deleted < BATCH:
                break
            await asyncio.sleep(REST * (time.perf_counter() - began))
        return done


def clear_copies(store: Store, before: float, others: Iterable[Callable[[float], int]]) -> int:
    """Delete the copies of texts from before a time: in cycles, and in ``others``; returns the number of copies.

    Blocks; raises ``StoreError``.
    """
    done = store.redact_cycles(before) + sum(clear_other(before) for clear_other in others)
    store.flush_deleted()
    return done
