"""Places for calls: never more than there are, handed on in order, none lost whoever gives up and when."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream.concurrency_limit import ConcurrencyLimit

LONG_S = 60.0


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_free_place_is_had_at_once() -> None:
    """Without waiting, up to the limit."""
    limit = ConcurrencyLimit(2)
    assert [limit.try_acquire() for _ in range(3)] == [True, True, False]
    assert (limit.in_use, limit.waiting) == (2, 0)


async def test_a_place_goes_to_the_one_who_waits_longest() -> None:
    """In the order of arrival, and to nobody who comes later."""
    limit = ConcurrencyLimit(1)
    assert limit.try_acquire()
    order: list[int] = []

    async def come(number: int) -> None:
        await limit.acquire(LONG_S)
        order.append(number)

    tasks = [asyncio.create_task(come(number)) for number in range(3)]
    await settle()
    for _ in range(3):
        limit.release()
        assert not limit.try_acquire(), "it is promised to another"
        await settle()
    assert order == [0, 1, 2] and limit.in_use == 1
    await asyncio.gather(*tasks)


async def test_who_waits_too_long_is_told() -> None:
    """And stands in nobody's way afterwards."""
    limit = ConcurrencyLimit(1)
    assert limit.try_acquire()
    with pytest.raises(TimeoutError):
        await limit.acquire(0.001)
    assert (limit.in_use, limit.waiting) == (1, 0)
    limit.release()
    assert limit.try_acquire()


async def test_a_place_that_comes_in_the_moment_of_giving_up_is_not_lost() -> None:
    """Handed on and cancelled before the waiting task ran again: the next in the queue gets it."""
    limit = ConcurrencyLimit(1)
    assert limit.try_acquire()
    first, second = (asyncio.create_task(limit.acquire(LONG_S)) for _ in range(2))
    await settle()
    limit.release()
    first.cancel()
    await settle()
    assert first.cancelled() and second.done() and limit.in_use == 1
    limit.release()
    assert limit.in_use == 0


async def test_one_can_wait_until_all_are_free() -> None:
    """At once if they are, else when the last one is given back."""
    limit = ConcurrencyLimit(2)
    await limit.wait_until_idle()
    assert limit.try_acquire() and limit.try_acquire()
    waiting = asyncio.create_task(limit.wait_until_idle())
    limit.release()
    await settle()
    assert not waiting.done()
    limit.release()
    await waiting


async def test_a_new_call_keeps_the_waiting_for_all() -> None:
    """A place that is taken again before the waiting task ran counts."""
    limit = ConcurrencyLimit(1)
    assert limit.try_acquire()
    waiting = asyncio.create_task(limit.wait_until_idle())
    await settle()
    limit.release()
    assert limit.try_acquire()
    await settle()
    assert not waiting.done()
    limit.release()
    await waiting


STEPS = st.lists(st.tuples(st.sampled_from(["come", "leave", "cancel", "run"]), st.integers(0, 50)), max_size=60)


@given(count=st.integers(1, 3), steps=STEPS)
def test_no_place_is_lost_or_invented(count: int, steps: Sequence[tuple[str, int]]) -> None:
    """Whoever comes, leaves or gives up, in any order: at most ``count`` have one, and none is idle while one waits."""
    asyncio.run(_play(count, steps))


async def _play(count: int, steps: Sequence[tuple[str, int]]) -> None:
    limit = ConcurrencyLimit(count)
    inside: list[asyncio.Event] = []
    tasks: list[asyncio.Task[None]] = []

    async def visit() -> None:
        if not limit.try_acquire():
            await limit.acquire(LONG_S)
        done = asyncio.Event()
        inside.append(done)
        try:
            assert len(inside) <= count
            await done.wait()
        finally:
            inside.remove(done)
            limit.release()

    for step, number in steps:
        match step:
            case "come":
                tasks.append(asyncio.create_task(visit()))
            case "leave" if inside:
                inside[number % len(inside)].set()
            case "cancel" if tasks:
                tasks[number % len(tasks)].cancel()
            case "run":
                await settle()
                assert limit.in_use == len(inside)
                assert not limit.waiting or limit.in_use == count
    while not all(task.done() for task in tasks):
        for done in inside:
            done.set()
        await settle()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (limit.in_use, limit.waiting) == (0, 0)
