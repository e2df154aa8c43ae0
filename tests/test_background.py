"""Background loops: what happens when a loop fails, ends, or its gateway stops."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gateway.background import Background, State


class Pauses:
    """A clock that stands still, and a sleep that returns at once and notes for how long it should have slept."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


class Failing:
    """A loop that raises at its first starts, then runs until it is cancelled. ``lasts_s`` passes before an error."""

    def __init__(self, pauses: Pauses, *errors: Exception, lasts_s: float = 0.0) -> None:
        self._pauses = pauses
        self._errors = list(errors)
        self._lasts_s = lasts_s
        self.steady = asyncio.Event()
        self.cancelled = False

    async def __call__(self) -> None:
        if self._errors:
            self._pauses.now += self._lasts_s
            raise self._errors.pop(0)
        self.steady.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled = True


def supervisor(pauses: Pauses, observe: Callable[[str, State], None] = lambda name, state: None) -> Background:
    return Background(observe=observe, clock=pauses.clock, sleep=pauses.sleep)


async def test_a_loop_that_fails_starts_again() -> None:
    """Whatever it raised."""
    pauses = Pauses()
    loop = Failing(pauses, ValueError("row 7"), KeyError("x"))
    async with supervisor(pauses).running("test.loop", loop):
        await loop.steady.wait()
    assert loop.cancelled


async def test_pauses_double_up_to_the_longest() -> None:
    """A loop that can never run costs next to nothing."""
    pauses = Pauses()
    loop = Failing(pauses, *[ValueError("no")] * 6)
    async with supervisor(pauses).running("test.loop", loop, pauses_s=(1, 10)):
        await loop.steady.wait()
    assert pauses.slept == [1, 2, 4, 8, 10, 10]


async def test_a_loop_that_ran_for_a_while_starts_again_soon() -> None:
    """An error once a day is not punished for those of the days before."""
    pauses = Pauses()
    loop = Failing(pauses, *[ValueError("no")] * 3, lasts_s=11)
    async with supervisor(pauses).running("test.loop", loop, pauses_s=(1, 10)):
        await loop.steady.wait()
    assert pauses.slept == [1, 1, 1]


async def test_an_error_is_logged_with_its_traceback_once(caplog: pytest.LogCaptureFixture) -> None:
    """Repeated errors are one line each; another error brings its own traceback."""
    pauses = Pauses()
    loop = Failing(pauses, ValueError("a"), ValueError("a"), ValueError("b"))
    with caplog.at_level(logging.ERROR):
        async with supervisor(pauses).running("test.loop", loop):
            await loop.steady.wait()
    assert [record.exc_info is not None for record in caplog.records] == [True, False, True]
    for record in caplog.records:
        fields: dict[str, Any] = vars(record)
        assert (fields["action"], fields["loop"]) == ("background.failed", "test.loop")


async def test_every_change_of_state_is_observed() -> None:
    """A metric shows which loops run, and how often they failed."""
    seen: list[tuple[str, State]] = []
    pauses = Pauses()
    loop = Failing(pauses, ValueError("no"))
    async with supervisor(pauses, lambda name, state: seen.append((name, state))).running("test.loop", loop):
        await loop.steady.wait()
    assert seen == [("test.loop", state) for state in ("running", "failed", "running", "ended")]


async def test_a_loop_that_waits_for_its_next_start_is_named() -> None:
    """By the type of its error: the message may hold a client's text."""
    paused, on = asyncio.Event(), asyncio.Event()

    async def sleep(seconds: float) -> None:
        paused.set()
        await on.wait()

    loop = Failing(Pauses(), ValueError("secret"))
    background = Background(sleep=sleep)
    async with background.running("test.loop", loop):
        await paused.wait()
        assert background.failures == {"test.loop": "ValueError"}
        on.set()
        await loop.steady.wait()
        assert background.failures == {}


async def test_a_loop_that_returns_is_not_started_again() -> None:
    """Its work is done."""
    starts = []
    ended = asyncio.Event()

    async def once() -> None:
        starts.append("start")

    def observe(name: str, state: State) -> None:
        if state == "ended":
            ended.set()

    async with Background(observe=observe).running("test.once", once):
        await ended.wait()
    assert starts == ["start"]


async def test_loops_stop_in_reverse_order() -> None:
    """What was started last may use what was started before it, to its last line."""
    stopped: list[str] = []

    def loop(name: str, began: asyncio.Event) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                stopped.append(name)

        return run

    first, second = asyncio.Event(), asyncio.Event()
    background = Background()
    async with background.running("first", loop("first", first)), background.running("second", loop("second", second)):
        await first.wait()
        await second.wait()
    assert stopped == ["second", "first"]


async def test_an_error_while_stopping_stops_nobody_else() -> None:
    """The gateway closes everything that it opened."""
    began = asyncio.Event()

    async def bad() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("while stopping")

    pauses = Pauses()
    before = asyncio.all_tasks()
    async with Background(sleep=pauses.sleep).running("bad", bad):
        await began.wait()
    assert asyncio.all_tasks() == before
