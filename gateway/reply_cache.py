"""Replies kept in memory for the same request: exact, bounded in time and bytes. For a single event loop.

Never on a disk: a model answers faster than a disk is worth, and a text that is nowhere need not be deleted anywhere.
Each worker keeps its own. Does not know requests; ``routing.reply_key`` names them.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.domain import Value
from gateway.errors import StoreError

INTERVAL_S: Final = 1.0
"""Seconds between two looks for texts to forget."""
_LOOKS_TO_SWEEP: Final = 60
"""Looks until the old replies are dropped that nobody asks for."""
_ENTRY_BYTES: Final = 700
"""Memory of a kept reply besides its pieces (``tests/test_reply_cache.py`` measures it)."""
_PIECE_BYTES: Final = 48
_SHARE: Final = 10
"""The largest reply takes one part in so many of the memory: no reply drives out all others."""
_AT_ONCE: Final = 500
"""Replies that are looked at before requests get their turn."""


class KeptReply(Value, frozen=True):
    """A complete reply: one body, or the events of a stream."""

    id: str
    """The id of the exchange that it comes from."""
    pieces: tuple[bytes, ...]
    at: float
    """The time of keeping, on the cache's clock."""
    size: int
    """Bytes of memory."""


class ReplyCache(Collector):
    """The kept replies of every task. ``clock`` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._shelves: dict[str, _Shelf] = {}
        self.generation = 0
        """Grows whenever everything is dropped: a request from before keeps nothing afterwards."""

    def find(self, task: str, key: bytes, seconds: float) -> KeptReply | None:
        """Return the reply under a key if it is younger than ``seconds``, and count a hit or a miss."""
        shelf = self._shelves.get(task)
        if shelf is None:
            shelf = self._shelves[task] = _Shelf()
        kept = shelf.replies.get(key)
        if kept is not None and self._clock() - kept.at < seconds:
            shelf.replies.move_to_end(key)
            shelf.hits += 1
            return kept
        shelf.drop(key)
        shelf.misses += 1
        return None

    def keep(
        self, task: str, key: bytes, reply_id: str, pieces: Sequence[bytes], *, max_bytes: int, generation: int
    ) -> None:
        """Keep a reply within the task's memory; the least used make room. A reply that is too large is not kept."""
        shelf = self._shelves.get(task)
        size = _ENTRY_BYTES + sum(len(piece) + _PIECE_BYTES for piece in pieces)
        if shelf is None or generation != self.generation or size > largest(max_bytes):
            return
        shelf.drop(key)
        shelf.replies[key] = KeptReply(id=reply_id, pieces=tuple(pieces), at=self._clock(), size=size)
        shelf.bytes += size
        while shelf.bytes > max_bytes:
            _, oldest = shelf.replies.popitem(last=False)
            shelf.bytes -= oldest.size

    def clear(self) -> None:
        """Drop every reply."""
        self.generation += 1
        for shelf in self._shelves.values():
            shelf.replies.clear()
            shelf.bytes = 0

    async def sweep(self, seconds: Mapping[str, float]) -> None:
        """Drop what is too old, by task. Lets requests have their turn in between."""
        for task, shelf in list(self._shelves.items()):
            keys = list(shelf.replies)
            for start in range(0, len(keys), _AT_ONCE):
                oldest = self._clock() - seconds.get(task, 0.0)
                for key in keys[start : start + _AT_ONCE]:
                    kept = shelf.replies.get(key)
                    if kept is not None and kept.at <= oldest:
                        shelf.drop(key)
                await asyncio.sleep(0)

    async def run(
        self,
        forgotten: Callable[[], bytes | None],
        seconds: Callable[[], Mapping[str, float]],
        *,
        interval_s: float = INTERVAL_S,
    ) -> None:
        """Drop everything when texts were forgotten anywhere, and old replies now and then, until cancelled.

        ``forgotten`` reads the store's note on it, in a thread; ``seconds`` returns the longest life by task. While the
        store is away nothing can be forgotten, and all stays.
        """
        known: bytes | None = None
        looks = 0
        while True:
            lives = seconds()
            if lives:
                try:
                    note = await asyncio.to_thread(forgotten)
                except StoreError:
                    note = known
                if note != known:
                    known = note
                    self.clear()
            looks += 1
            if looks % _LOOKS_TO_SWEEP == 0:
                await self.sweep(lives)
            await asyncio.sleep(interval_s)

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of all tasks that keep replies."""
        hits = CounterMetricFamily("preceptor_cache_hits", "Requests answered by a kept reply.", labels=["task"])
        misses = CounterMetricFamily(
            "preceptor_cache_misses", "Requests without a kept reply, of those that may have one.", labels=["task"]
        )
        size = GaugeMetricFamily("preceptor_cache_bytes", "Memory of the kept replies.", labels=["task"])
        for task, shelf in self._shelves.items():
            hits.add_metric([task], shelf.hits)
            misses.add_metric([task], shelf.misses)
            size.add_metric([task], shelf.bytes)
        yield from (hits, misses, size)


class _Shelf:
    """The replies of a task, the least used first."""

    __slots__ = ("bytes", "hits", "misses", "replies")

    def __init__(self) -> None:
        self.replies: OrderedDict[bytes, KeptReply] = OrderedDict()
        self.bytes = self.hits = self.misses = 0

    def drop(self, key: bytes) -> None:
        """Drop a reply if it is there."""
        dropped = self.replies.pop(key, None)
        if dropped is not None:
            self.bytes -= dropped.size


def largest(max_bytes: int) -> int:
    """Return the bytes of the largest reply that is kept in so much memory."""
    return max_bytes // _SHARE
