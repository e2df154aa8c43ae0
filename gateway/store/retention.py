"""Deletes exchanges that are older than ``server.retention_days``, a few at a time, so that nobody waits for it.

Between two batches others get their turn at the database, twice as long as a batch took. Several gateways on one
store may all do this: they find the same rows, and who comes second deletes nothing. The file does not shrink: its free
pages are used by what is recorded next.
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
"""Seconds between two looks for what has become too old."""
BATCH = 50
"""Exchanges that are deleted at once: a few milliseconds. More at once would not be quicker (0.12 ms each)."""
REST = 2.0
"""Pause between two batches, as a multiple of what the last one took."""


async def clear(store: Store, before: float) -> int:
    """Delete every exchange that arrived before a time; returns how many. Raises ``StoreError``."""
    done = 0
    while True:
        began = time.perf_counter()
        found = await asyncio.to_thread(store.forget, before, limit=BATCH)
        done += found
        if found < BATCH:
            return done
        await asyncio.sleep(REST * (time.perf_counter() - began))


async def keep_clear(
    store: Store, days: Callable[[], float | None], clock: Callable[[], float], *, interval_s: float = INTERVAL_S
) -> None:
    """Delete for ever what is older than ``days`` says at the time; nothing while it says ``None``.

    ``clock`` is in seconds since the epoch. While the store fails, the next look tries again.
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
