"""Kept replies: bounded in time and memory, and dropped when texts are forgotten."""

import asyncio
import contextlib
import gc
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import StoreError
from gateway.reply_cache import ReplyCache, largest

TASK = "sums"
ROOM = 100_000


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def filled(clock: Clock, *keys: bytes, body: bytes = b"reply", max_bytes: int = ROOM) -> ReplyCache:
    cache = ReplyCache(clock)
    cache.find(TASK, b"nothing", 60)
    for key in keys:
        keep(cache, key, body, max_bytes)
    return cache


def keep(cache: ReplyCache, key: bytes, body: bytes = b"reply", max_bytes: int = ROOM) -> None:
    cache.keep(TASK, key, "chatcmpl-1", [body], max_bytes=max_bytes, generation=cache.generation)


def metric(cache: ReplyCache, name: str) -> float:
    return next(family.samples[0].value for family in cache.collect() if family.name == f"preceptor_cache_{name}")


def kept_bytes(cache: ReplyCache) -> float:
    return metric(cache, "bytes")


def test_a_kept_reply_is_there_until_its_time_is_over() -> None:
    """A reply that is too old is dropped at once."""
    clock = Clock()
    cache = filled(clock, b"a")
    clock.now = 59.9
    kept = cache.find(TASK, b"a", 60)
    assert kept is not None and (kept.id, kept.pieces) == ("chatcmpl-1", (b"reply",))
    clock.now = 60.0
    assert cache.find(TASK, b"a", 60) is None
    assert kept_bytes(cache) == 0


def test_a_hit_makes_no_reply_younger() -> None:
    """Else a frequent question would never reach the model again."""
    clock = Clock()
    cache = filled(clock, b"a")
    for second in range(60):
        clock.now = float(second)
        assert cache.find(TASK, b"a", 60) is not None
    clock.now = 60.0
    assert cache.find(TASK, b"a", 60) is None


def test_tasks_share_nothing() -> None:
    """Neither replies nor memory."""
    cache = filled(Clock(), b"a")
    assert cache.find("others", b"a", 60) is None


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=1), st.integers(0, 20_000)), max_size=60))
def test_the_memory_is_never_exceeded(replies: list[tuple[bytes, int]]) -> None:
    """And the bytes that are told are those of the replies that are there."""
    cache = filled(Clock())
    for key, length in replies:
        keep(cache, key, b"x" * length)
        assert 0 <= kept_bytes(cache) <= ROOM
    kept = [reply for key, _ in {key: None for key, _ in replies}.items() if (reply := cache.find(TASK, key, 60))]
    assert kept_bytes(cache) == sum(reply.size for reply in kept)


def test_the_least_used_reply_makes_room() -> None:
    """Asked again, a reply counts as new for that."""
    body = b"x" * (largest(ROOM) - 1000)
    keys = [bytes([number]) for number in range(10)]
    cache = filled(Clock(), *keys, body=body)
    assert cache.find(TASK, keys[0], 60) is not None
    keep(cache, b"new", body)
    assert cache.find(TASK, keys[0], 60) is not None and cache.find(TASK, b"new", 60) is not None
    assert cache.find(TASK, keys[1], 60) is None


def test_a_reply_of_more_than_a_tenth_of_the_memory_is_not_kept() -> None:
    """It would drive out too many others."""
    cache = filled(Clock(), b"a", body=b"x" * largest(ROOM))
    assert cache.find(TASK, b"a", 60) is None


def test_the_counted_bytes_cover_the_real_ones() -> None:
    """With the smallest replies, whose own bytes are the least part."""
    gc.collect()
    tracemalloc.start()
    try:
        cache = filled(Clock())
        for number in range(3000):
            cache.keep(
                TASK, b"%032d" % number, f"chatcmpl-{number:032d}", [b"%d" % number, b"%d." % number],
                max_bytes=10**9, generation=0,
            )  # fmt: skip
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < kept_bytes(cache) < 2.5 * taken


def test_a_request_from_before_a_clearing_keeps_nothing() -> None:
    """Its key may be over, or its text forgotten."""
    cache = filled(Clock(), b"a")
    generation = cache.generation
    cache.clear()
    cache.keep(TASK, b"b", "chatcmpl-2", [b"reply"], max_bytes=ROOM, generation=generation)
    assert cache.find(TASK, b"a", 60) is None and cache.find(TASK, b"b", 60) is None


def test_hits_and_misses_are_counted() -> None:
    """They outlive a clearing."""
    cache = filled(Clock(), b"a")
    cache.find(TASK, b"a", 60)
    cache.clear()
    cache.find(TASK, b"a", 60)
    assert (metric(cache, "hits"), metric(cache, "misses")) == (1, 2)


async def test_old_replies_are_swept_without_a_question() -> None:
    """A text does not stay because nobody asks for it; a task without a cache keeps none."""
    clock = Clock()
    cache = filled(clock, b"a")
    clock.now = 30.0
    keep(cache, b"b")
    clock.now = 61.0
    await cache.sweep({TASK: 60})
    assert cache.find(TASK, b"a", 999) is None and cache.find(TASK, b"b", 999) is not None
    await cache.sweep({})
    assert kept_bytes(cache) == 0


@contextlib.contextmanager
def followed(cache: ReplyCache, note: list[bytes | StoreError | None], seconds: dict[str, float]) -> Iterator[None]:
    """Let the cache look at a note, which is the last of a list."""

    def read() -> bytes | None:
        if isinstance(note[-1], StoreError):
            raise note[-1]
        return note[-1]

    task = asyncio.create_task(cache.run(read, lambda: seconds, interval_s=0.001))
    try:
        yield
    finally:
        task.cancel()


async def until_empty(cache: ReplyCache) -> None:
    async with asyncio.timeout(10):
        while kept_bytes(cache):
            await asyncio.sleep(0.001)


async def test_forgetting_drops_every_reply() -> None:
    """Whichever process forgot; and only once for each time."""
    cache, note = filled(Clock(), b"a"), [b"1.0"]
    with followed(cache, list[bytes | StoreError | None](note), {TASK: 60}):
        await until_empty(cache)
        keep(cache, b"a")
        await asyncio.sleep(0.05)
        assert cache.find(TASK, b"a", 60) is not None


async def test_while_the_store_is_away_replies_stay() -> None:
    """Nobody can forget anything then; afterwards the note counts."""
    cache = filled(Clock(), b"a")
    note: list[bytes | StoreError | None] = [StoreError("away")]
    with followed(cache, note, {TASK: 60}):
        await asyncio.sleep(0.05)
        assert cache.find(TASK, b"a", 60) is not None
        note.append(b"2.0")
        await until_empty(cache)


async def test_without_a_task_that_keeps_replies_the_store_is_not_read() -> None:
    """The store has enough to do."""
    cache = filled(Clock(), b"a")
    with followed(cache, [b"1.0"], {}):
        await asyncio.sleep(0.02)
        assert cache.find(TASK, b"a", 60) is not None


@pytest.mark.parametrize("max_bytes", [1, 700, 6999])
def test_too_little_memory_keeps_nothing(max_bytes: int) -> None:
    """And harms nobody."""
    cache = filled(Clock(), b"a", max_bytes=max_bytes)
    assert cache.find(TASK, b"a", 60) is None
