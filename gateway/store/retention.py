"""Deletion of exchanges older than ``server.retention_days``, in small batches: no request waits for it.

Between two batches the database is free for twice the time of a batch. Several gateways on one store may all delete:
they read the same rows, and the second deletes nothing. The file does not shrink: new records use its free pages.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence

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


def clear_copies(store: Store, before: float, others: Iterable[Callable[[float], int]]) -> int:
    """Delete the copies of texts from before a time: in cycles, and in ``others``; returns the number of copies.

    Blocks; raises ``StoreError``.
    """
    done = store.redact_cycles(before) + sum(clear_other(before) for clear_other in others)
    store.flush_deleted()
    return done


async def keep_clear(
    store: Store,
    days: Callable[[], float | None],
    clock: Callable[[], float],
    *,
    others: Sequence[Callable[[float], int]] = (),
    interval_s: float = INTERVAL_S,
) -> None:
    """Delete exchanges older than ``days()`` and copies of their texts, look by look until cancelled.

    Nothing is deleted while ``days`` returns ``None``. ``clock`` is in seconds since the epoch. Each of ``others``
    deletes texts from before a time elsewhere. After a failure of the store the next look tries again.
    """
    down = False
    while True:
        kept = days()
        try:
            if kept is not None:
                before = clock() - kept * DAY_S
                done = await clear(store, before)
                if done:
                    log.info("%d old exchanges deleted", done, extra={"action": "retention.done"})
                copies = await asyncio.to_thread(clear_copies, store, before, others)
                if copies:
                    log.info("%d old copies of texts deleted", copies, extra={"action": "retention.copies"})
            down = False
        except StoreError as error:
            if not down:
                log.warning("old exchanges cannot be deleted: %s", error, extra={"action": "retention.failed"})
            down = True
        await asyncio.sleep(interval_s)
