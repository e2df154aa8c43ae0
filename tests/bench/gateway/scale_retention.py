"""What ``scale`` asks of retention: how long a writer waits while old exchanges are deleted beside it."""

import asyncio
import itertools
import threading
import time
from collections.abc import Iterator, Sequence

import msgspec

from gateway.domain import Exchange, Value
from gateway.store.retention import Keeping, Retention
from gateway.store.sql import SqlStore

ROWS = 20_000
"""Exchanges that are deleted, where there are as many."""
WRITTEN, PAUSE_S = 50, 0.02
"""Exchanges in a batch of the writer's, and its pause between two: up to 2,000 exchanges a second."""
ALONE_S = 5.0


class Waits(Value, frozen=True):
    """What a writer waited for its batches, in ms."""

    p99: float
    longest: float


class Beside(Value, frozen=True):
    """A writer alone, the same one beside retention, and what retention deleted in a second."""

    alone: Waits
    meanwhile: Waits
    deleted_per_s: float


def beside_retention(store: SqlStore) -> Beside:
    """Delete the oldest exchanges while others are recorded."""
    batches = _batches(store)
    over = threading.Event()
    threading.Timer(ALONE_S, over.set).start()
    alone = _write(store, batches, over)
    old, _ = store.recorded(0, limit=ROWS)
    done, meanwhile = threading.Event(), list[float]()
    writer = threading.Thread(target=lambda: meanwhile.extend(_write(store, batches, done)))
    writer.start()
    began = time.perf_counter()
    deleted = asyncio.run(Retention(store, Keeping, time.time).clear(old[-1].created))
    took = time.perf_counter() - began
    done.set()
    writer.join()
    return Beside(alone=_waits(alone), meanwhile=_waits(meanwhile), deleted_per_s=deleted / took)


def _write(store: SqlStore, batches: Iterator[list[Exchange]], over: threading.Event) -> list[float]:
    waited: list[float] = []
    while not waited or not over.is_set():
        batch = next(batches)
        began = time.perf_counter()
        store.record(batch)
        waited.append((time.perf_counter() - began) * 1000)
        time.sleep(PAUSE_S)
    return waited


def _batches(store: SqlStore) -> Iterator[list[Exchange]]:
    """Exchanges like those in the store, new and of now."""
    (like,), _ = store.recorded(0, limit=1)
    for batch in itertools.count():
        yield [
            msgspec.structs.replace(like, id=f"chatcmpl-new{batch:027x}{place:02x}", created=time.time())
            for place in range(WRITTEN)
        ]


def _waits(waited: Sequence[float]) -> Waits:
    ordered = sorted(waited)
    return Waits(p99=ordered[int(len(ordered) * 0.99)], longest=ordered[-1])
