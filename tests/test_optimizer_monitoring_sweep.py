"""One look after the other: each step does its part, and none of them stops another."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.domain import Activation, Exchange, Rule, RuleSet
from gateway.errors import StoreError, UpstreamUnreachable
from gateway.services import Services
from gateway.settings import Settings
from gateway.store.base import Observed, Store
from gateway.store.memory import MemoryStore
from gateway.store.notes import SWEEP_ERRORS, SWEEP_POSITION
from gateway.store.sql import SqlStore
from optimizer.monitoring.shadow.allowance import account_of
from optimizer.monitoring.sweep import Sweep
from tests.fakes import FakeReply, FakeUpstream
from tests.traffic import NOW, TASK, Clock, background, both, exchange, gateway_of, live, sweep_of

REFUSAL = "I'm sorry, but I can't help with that."


@contextlib.asynccontextmanager
async def sweeping(directory: Path, made: Services) -> AsyncIterator[Sweep]:
    with background(directory, made) as behind:
        async with sweep_of(made, behind) as sweep:
            yield sweep


def wrong(store: Store) -> dict[str, str]:
    state = SWEEP_ERRORS.read(store)
    assert state is not None
    return state


async def test_a_tick_observes_compares_and_reviews(store: Store, tmp_path: Path) -> None:
    """Signs of failure and comparisons are in the store after it, and the task's roll-out has been looked at."""
    store.publish(RuleSet(task=TASK, rules=(Rule(text="Think."),)))
    store.activate(Activation(task=TASK, version=1, created=NOW - 60, by="t"))
    store.record([exchange(1, arm="weak", rules=1), exchange(2, arm="weak", rules=1, reply=REFUSAL)])
    async with sweeping(tmp_path, gateway_of(None, store, live())) as sweep:
        await sweep.tick()
    said = {one.exchange.id: one.feedback.source for one in store.graded(TASK, limit=9)}
    assert said == {"x1": "shadow", "x2": "shadow"}
    assert store.note(f"live/{TASK}") is not None
    assert wrong(store) == {}


async def test_ticks_without_traffic_write_no_feedback_and_ask_nobody(store: Store, tmp_path: Path) -> None:
    """What the background itself recorded is no traffic."""
    upstream = FakeUpstream(both)
    store.record([exchange(1), exchange(2, arm="weak", reply=REFUSAL)])
    async with sweeping(tmp_path, gateway_of(upstream, store, live())) as sweep:
        for _ in range(3):
            await sweep.tick()
    assert len(upstream.bodies) == 2
    assert len(store.recorded(0, limit=9)[0]) == 4
    assert (store.counts()[TASK].exchanges, store.counts()[TASK].feedback) == (2, 2)
    assert SWEEP_POSITION.read(store) == 4


async def test_a_restart_goes_on_with_what_waited(store: Store, tmp_path: Path) -> None:
    """The strong model was down, the process was killed, and an hour has not passed."""
    clock = Clock()
    down = FakeUpstream(lambda body: UpstreamUnreachable("nobody there"))
    store.record([exchange(number, arm="weak") for number in range(3)])
    async with sweeping(tmp_path, gateway_of(down, store, live(), clock)) as sweep:
        await sweep.tick()
    assert SWEEP_POSITION.read(store) == 0
    clock.now += 1800
    async with sweeping(tmp_path, gateway_of(None, store, live(), clock)) as sweep:
        await sweep.tick()
    assert sorted(one.exchange.id for one in store.graded(TASK, limit=9)) == ["x0", "x1", "x2"]


async def test_a_strong_model_that_is_down_for_hours_holds_nothing_up(store: Store, tmp_path: Path) -> None:
    """Traffic goes on, one word is in the log, and when it is back it is asked about the last hour only."""
    clock, down = Clock(), True
    upstream = FakeUpstream(lambda body: UpstreamUnreachable("nobody there") if down else both(body))
    made = gateway_of(upstream, store, live(), clock)
    async with sweeping(tmp_path, made) as sweep:
        for number in range(12):
            store.record([exchange(number, arm="weak", created=clock.now)])
            await sweep.tick()
            clock.now += 1200
        assert SWEEP_POSITION.read(store) == 7
        down = False
        await sweep.tick()
    assert sorted(one.exchange.id for one in store.graded(TASK, limit=99)) == ["x10", "x11", "x9"]
    assert account_of(store, TASK).totals == {"compared": 3, "given_up": 9}


async def test_a_step_that_fails_is_told_once_and_stops_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The review goes on while the traffic cannot be read, and the state says what is wrong until it is not."""
    caplog.set_level("INFO")
    store = Partly()
    store.record([exchange(1, arm="weak", reply=REFUSAL)])
    async with sweeping(tmp_path, gateway_of(None, store, live('serve = "canary"'))) as sweep:
        store.unreadable = True
        for _ in range(3):
            await sweep.tick()
        assert wrong(store) == {"observe": "the database is away"}
        assert store.reviews == 3
        store.unreadable = False
        await sweep.tick()
    assert wrong(store) == {}
    assert [one.message for one in caplog.records if one.name == "optimizer.monitoring.sweep"] == [
        "observe failed: the database is away", "observe works again",
    ]  # fmt: skip


async def test_a_bug_in_a_step_stays_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With its traceback, once."""
    store = Partly()
    store.buggy = True
    async with sweeping(tmp_path, gateway_of(None, store, live('serve = "canary"'))) as sweep:
        for _ in range(2):
            await sweep.tick()
    assert wrong(store) == {"observe": "internal error: ZeroDivisionError"}
    assert store.reviews == 2
    assert caplog.text.count("Traceback") == 1


async def test_a_locked_database_is_left_for_the_next_tick(tmp_path: Path) -> None:
    """Nothing is raised, nothing is lost."""
    store = SqlStore.open(tmp_path, busy_timeout_s=0.02)
    store.record([exchange(1, arm="weak", reply=REFUSAL)])
    async with sweeping(tmp_path, gateway_of(None, store, live())) as sweep:
        with store._database.write():
            await sweep.tick()
        assert store.counts()[TASK].feedback == 0
        await sweep.tick()
    assert store.counts()[TASK].feedback == 2
    assert wrong(store) == {}
    store.close()


async def test_slow_models_do_not_delay_the_review(tmp_path: Path) -> None:
    """The comparison goes on beside later ticks, one at a time, and is cut off when the sweep closes."""
    called, answered = asyncio.Event(), asyncio.Event()

    class Slow(FakeUpstream):
        async def send(self, call: Any) -> FakeReply:
            called.set()
            await answered.wait()
            return await super().send(call)

    store, upstream = Partly(), Slow(both)
    configured = live('serve = "canary"', more="sweep_s = 0.01\n")
    store.record([exchange(1)])
    async with sweeping(tmp_path, gateway_of(upstream, store, configured)) as sweep:
        await sweep.tick()
        await sweep.tick()
        assert called.is_set() and store.reviews == 2
        assert SWEEP_POSITION.read(store) == 0
        answered.set()
        while store.exchange("shadow-x1") is None:
            await asyncio.sleep(0.005)
        await sweep.tick()
        answered.clear()
        store.record([exchange(2)])
        await sweep.tick()
    assert len(upstream.bodies) == 1


async def test_a_task_that_is_gone_is_wrong_no_more(tmp_path: Path) -> None:
    """The state is about what is configured."""
    store = Partly()
    made = gateway_of(None, store, live('serve = "canary"'))
    async with sweeping(tmp_path, made) as sweep:
        store.unreviewable = True
        await sweep.tick()
        assert wrong(store) == {f"review {TASK}": "the database is away"}
        made.serving = gateway_of(None, store, Settings()).serving
        await sweep.tick()
    assert wrong(store) == {}


class Partly(MemoryStore):
    """A store in memory of which a part can fail; counts the reviews."""

    unreadable = buggy = unreviewable = False
    reviews = 0

    def recorded(self, after: int, *, limit: int) -> tuple[list[Exchange], int]:
        if self.unreadable:
            raise StoreError("the database is away")
        if self.buggy:
            raise ZeroDivisionError("bug")
        return super().recorded(after, limit=limit)

    def observed(self, task: str, *, since: float, limit: int) -> list[Observed]:
        if self.unreviewable:
            raise StoreError("the database is away")
        self.reviews += 1
        return super().observed(task, since=since, limit=limit)
