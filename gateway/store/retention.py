"""Deletion of exchanges older than ``server.retention_days``, in small batches: no request waits for it.

Between two batches the database is free for twice the time of a batch. Several gateways on one store may all delete:
they read the same rows, and the second deletes nothing. The file does not shrink: new records use its free pages.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from gateway.errors import StoreError
from gateway.store.base import Store

log = logging.getLogger(__name__)

DAY_S = 86_400.0
INTERVAL_S = 60.0
"""Seconds between two looks for old exchanges."""
BATCH = 50
"""Exchanges of a batch: a few milliseconds. A larger batch is not quicker (0.12 ms an exchange)."""
REST = 2.0
"""Pause after a batch, as a multiple of its time."""


async def clear(store: Store, before: float) -> int:
    """Delete every exchange that arrived before a time; returns their number. Raises ``StoreError``."""
    done = 0
    while True:
        began = time.perf_counter()
        deleted = await asyncio.to_thread(store.forget, before, limit=BATCH)
        done += deleted
        if deleted < BATCH:
            return done
        await asyncio.sleep(REST * (time.perf_counter() - began))


async def keep_clear(
    store: Store, days: Callable[[], float | None], clock: Callable[[], float], *, interval_s: float = INTERVAL_S
) -> None:
    """Delete exchanges older than ``days()``, look by look until cancelled; none while it returns ``None``.

    ``clock`` is in seconds since the epoch. After a failure of the store the next look tries again.
    """
    down = False
    while True:
        kept = days()
        try:
            done = 0 if kept is None else await clear(store, clock() - kept * DAY_S)
            if done:
                log.info("%d old exchanges deleted", done, extra={"action": "retention.done"})
            down = False
        except StoreError as error:
            if not down:
                log.warning("old exchanges cannot be deleted: %s", error, extra={"action": "retention.failed"})
            down = True
        await asyncio.sleep(interval_s)
