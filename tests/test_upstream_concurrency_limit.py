"""Places for calls: never more than there are, handed on in order, none lost whoever gives up and when."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream.concurrency_limit import Places

LONG_S = 60.0


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_free_place_is_had_at_once() -> None:
    """Without waiting, up to the number of places."""
    places = Places(2)
    assert [places.take() for _ in range(3)] == [True, True, False]
    assert (places.taken, places.waiting) == (2, 0)


async def test_a_place_goes_to_the_one_who_waits_longest() -> None:
    """In the order of arrival, and to nobody who comes later."""
    places = Places(1)
    assert places.take()
    order: list[int] = []

    async def come(number: int) -> None:
        await places.wait(LONG_S)
        order.append(number)

    tasks = [asyncio.create_task(come(number)) for number in range(3)]
    await settle()
    for _ in range(3):
        places.give_back()
        assert not places.take(), "it is promised to another"
        await settle()
    assert order == [0, 1, 2] and places.taken == 1
    await asyncio.gather(*tasks)


async def test_who_waits_too_long_is_told() -> None:
    """And stands in nobody's way afterwards."""
    places = Places(1)
    assert places.take()
    with pytest.raises(TimeoutError):
        await places.wait(0.001)
    assert (places.taken, places.waiting) == (1, 0)
    places.give_back()
    assert places.take()


async def test_a_place_that_comes_in_the_moment_of_giving_up_is_not_lost() -> None:
    """Handed on and cancelled before the waiting task ran again: the next in the queue gets it."""
    places = Places(1)
    assert places.take()
    first, second = (asyncio.create_task(places.wait(LONG_S)) for _ in range(2))
    await settle()
    places.give_back()
    first.cancel()
    await settle()
    assert first.cancelled() and second.done() and places.taken == 1
    places.give_back()
    assert places.taken == 0


async def test_one_can_wait_until_all_are_free() -> None:
    """At once if they are, else when the last one is given back."""
    places = Places(2)
    await places.empty()
    assert places.take() and places.take()
    waiting = asyncio.create_task(places.empty())
    places.give_back()
    await settle()
    assert not waiting.done()
    places.give_back()
    await waiting


async def test_a_new_call_keeps_the_waiting_for_all() -> None:
    """A place that is taken again before the waiting task ran counts."""
    places = Places(1)
    assert places.take()
    waiting = asyncio.create_task(places.empty())
    await settle()
    places.give_back()
    assert places.take()
    await settle()
    assert not waiting.done()
    places.give_back()
    await waiting


STEPS = st.lists(st.tuples(st.sampled_from(["come", "leave", "cancel", "run"]), st.integers(0, 50)), max_size=60)


@given(count=st.integers(1, 3), steps=STEPS)
def test_no_place_is_lost_or_invented(count: int, steps: Sequence[tuple[str, int]]) -> None:
    """Whoever comes, leaves or gives up, in any order: at most ``count`` have one, and none is idle while one waits."""
    asyncio.run(_play(count, steps))


async def _play(count: int, steps: Sequence[tuple[str, int]]) -> None:
    places = Places(count)
    inside: list[asyncio.Event] = []
    tasks: list[asyncio.Task[None]] = []

    async def visit() -> None:
        if not places.take():
            await places.wait(LONG_S)
        done = asyncio.Event()
        inside.append(done)
        try:
            assert len(inside) <= count
            await done.wait()
        finally:
            inside.remove(done)
            places.give_back()

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
                assert places.taken == len(inside)
                assert not places.waiting or places.taken == count
    while not all(task.done() for task in tasks):
        for done in inside:
            done.set()
        await settle()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (places.taken, places.waiting) == (0, 0)
