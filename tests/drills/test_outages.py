"""Drill: clocks jump, models and the database are away for a while, two processes both believe that they lead.

Requests go on, the state says what is wrong, and everything resumes; nothing is decided or published twice.
"""

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.domain import Activation, CycleRecord, Rule, RuleSet
from gateway.errors import StoreError, UpstreamUnreachable
from gateway.rules.live import refresh
from gateway.store.memory import MemoryStore
from gateway.store.notes import ROLLOUT, SWEEP_ERRORS
from gateway.store.sql import SqlStore
from optimizer.monitoring.shadow.allowance import ACCOUNT
from optimizer.monitoring.sweep import Sweep
from optimizer.scheduling.learner import open_learner
from tests import fakes
from tests.fakes import Answer, FakeUpstream
from tests.traffic import sweep_of
from tests.world import CURES, World, answer, configured, models, strong_reply, weak_reply, world

TASK = "arithmetic"
HOUR, YEAR = 3600.0, 365 * 24 * 3600.0
TRIAL = "rollout = { holdback = 0, steps = [0.4, 1.0], step_exchanges = 10, step_minutes = 10, harm = 1 }\n"


def wrong(here: World) -> Any:
    """What the sweep's state says."""
    return SWEEP_ERRORS.read(here.store) or {}


def situation(here: World) -> Any:
    return ROLLOUT.json(here.store, TASK) or {}


def decisions(here: World) -> list[tuple[str, int | None, float, str]]:
    return [(one.kind, one.version, one.share, one.by) for one in here.store.history(TASK)]


async def requests(here: World, count: int, *, every_s: float = 20.0) -> None:
    """Traffic, half of it on what the weak model overlooks, with a sweep after each fifth request."""
    for number in range(count):
        here.clock[0] += every_s
        await here.ask("twice" if number % 2 else "")
        if number % 5 == 4:
            await here.tick()


async def labelled(here: World, count: int) -> None:
    """Traffic whose clients say what would have been right."""
    for number in range(count):
        here.clock[0] += 10
        one = await here.ask("twice" if number % 2 else "")
        await asyncio.to_thread(here.services.writer.flush, 10)
        found = here.store.exchange(one.id)
        assert found is not None
        expected = float(answer(json.loads(found.request)["messages"][-1]["content"]))
        said = await here.client.post("/v1/feedback", json={"id": one.id, "expected": expected})
        assert said.status_code == 200


async def on_trial(here: World) -> None:
    """Version 1 is on trial since just now."""
    here.store.publish(RuleSet(task=TASK, rules=(Rule(text=CURES["twice"]),)))
    here.store.activate(Activation(task=TASK, version=1, created=here.clock[0], by="cycle", kind="canary", share=0.4))
    await asyncio.to_thread(refresh, here.store, here.services.rules)


@pytest.mark.parametrize("jump", [YEAR, -HOUR], ids=["a year ahead", "an hour back"])
async def test_a_clock_that_jumps_neither_ends_a_trial_nor_promotes_it(tmp_path: Path, jump: float) -> None:
    """What a step waits for, it waits for after the jump; a clock that goes back is told."""
    async with world(configured(tmp_path, task=TRIAL), models()) as here:
        await on_trial(here)
        await requests(here, 10)
        here.clock[0] += jump
        await here.tick()
        assert decisions(here) == [("canary", 1, 0.4, "cycle")]
        told = [why for why in situation(here)["wrong"] if why.startswith("the clock went back")]
        assert situation(here)["wrong"] == told and bool(told) == (jump < 0)
        await requests(here, 90)
        assert decisions(here) == [("canary", 1, 0.4, "cycle"), ("live", 1, 1.0, "watch")]


async def test_a_jump_to_and_fro_harms_nobody_and_is_forgotten(tmp_path: Path) -> None:
    """A year ahead and back again within a trial, as a host does whose clock was set wrongly at its start."""
    async with world(configured(tmp_path, task=TRIAL), models()) as here:
        await on_trial(here)
        await requests(here, 10)
        here.clock[0] += YEAR
        await requests(here, 5)
        here.clock[0] -= YEAR
        await requests(here, 5)
        assert decisions(here) == [("canary", 1, 0.4, "cycle")]
        await requests(here, 90)
        assert [one for one in decisions(here) if one[0] == "live"] == [("live", 1, 1.0, "watch")]
        assert not [why for why in situation(here)["wrong"] if why.startswith("harm")]


async def test_a_strong_model_that_is_down_for_hours_stops_nothing_but_learning(tmp_path: Path) -> None:
    """Comparisons wait, the cycle that it interrupts is taken up again, and one version comes of it."""
    down = True

    def script(body: dict[str, Any]) -> Answer:
        if body["model"] != "huge-1t":
            return weak_reply(body)
        return UpstreamUnreachable("nobody there") if down else strong_reply(body)

    task = 'shadow = { share = 0.2 }\nrollout = { policy = "at_once", holdback = 0 }\n'
    async with world(configured(tmp_path, task=task), FakeUpstream(script)) as here:
        await labelled(here, 110)
        await here.tick()
        outcome = await here.learn()
        assert outcome is not None and outcome.resumable and "nobody there" in outcome.note
        for _ in range(3):
            here.clock[0] += HOUR
            await requests(here, 5)
        await here.learn()
        assert here.store.rule_sets(TASK) == [] and here.store.open_cycle(TASK) is not None
        account = ACCOUNT.json(here.store, TASK) or {}
        assert "nobody there" in account["wrong"]
        down = False
        await requests(here, 30)
        account = ACCOUNT.json(here.store, TASK) or {}
        assert account["wrong"] == "" and account["totals"]["compared"] > 0
        await here.learn()
        assert [[rule.text for rule in one.rules] for one in here.store.rule_sets(TASK)] == [[CURES["twice"]]]
        assert decisions(here) == [("live", 1, 1.0, "cycle")]
        assert here.store.open_cycle(TASK) is None


class FullStore(MemoryStore):
    """A database that can be read, and cannot be written while the disk is full."""

    full = False

    def _write(self) -> None:
        if self.full:
            raise StoreError("database or disk is full")

    def record(self, batch: Any) -> None:
        self._write()
        super().record(batch)

    def add_feedback(self, feedback: Any) -> bool:
        self._write()
        return super().add_feedback(feedback)

    def publish(self, rule_set: RuleSet, *, after: int | None = None) -> RuleSet:
        self._write()
        return super().publish(rule_set, after=after)

    def activate(self, activation: Activation, *, after: int | None = None) -> None:
        self._write()
        super().activate(activation, after=after)

    def put_note(self, key: str, value: bytes) -> None:
        self._write()
        super().put_note(key, value)

    def begin_cycle(self, task: str, started: float, plan: Any) -> CycleRecord:
        self._write()
        return super().begin_cycle(task, started, plan)

    def end_cycle(self, cycle_id: int, ended: float, outcome: bytes) -> None:
        self._write()
        super().end_cycle(cycle_id, ended, outcome)


async def survives(here: World, away: contextlib.AbstractContextManager[None], why: str) -> None:
    """While the database is away requests are answered by the rules that are live; then all of them are recorded."""
    await labelled(here, 110)
    assert (await here.learn()).activated
    with away:
        during = []
        for number in range(30):
            here.clock[0] += 20
            during.append(await here.ask("twice"))
            if number % 10 == 9:
                await here.sweep.tick()
        while here.services.writer.error is None:
            await asyncio.sleep(0.01)
        ready = (await here.client.get("/readyz")).json()
        assert ready["status"] == "degraded" and why in ready["store"]
    assert all(one.right and one.rules == "1" for one in during)
    await requests(here, 20)
    ready = (await here.client.get("/readyz")).json()
    assert ready == {"status": "ok", "models": {}, "store": None, "background": {}} and wrong(here) == {}
    assert all(here.store.exchange(one.id) is not None for one in here.asked)
    assert here.services.writer.dropped == 0
    assert decisions(here) == [("live", 1, 1.0, "cycle")]


@contextlib.asynccontextmanager
async def two_leaders(folder: Path) -> AsyncIterator[tuple[World, Sweep, Any]]:
    """A world, and the optimizer of another process on the same folder, which believes that it leads as well."""
    text = configured(folder, task="shadow = { share = 0.5 }\n" + TRIAL)
    with contextlib.closing(SqlStore.open(folder)) as mine, contextlib.closing(SqlStore.open(folder)) as others:
        upstream = models()
        async with world(text, upstream, store=mine) as here:
            made = fakes.services(
                fakes.settings(text), {"mock": upstream}, others, wall_clock=lambda: here.clock[0]
            )  # fmt: skip
            async with open_learner(made.learner_context()) as learner, sweep_of(made, learner) as sweep:
                yield here, sweep, learner


async def test_two_that_both_believe_they_lead_decide_everything_once(tmp_path: Path) -> None:
    """Sweeps and cycles side by side, at the same moments: one version, each decision once, each label once."""
    async with two_leaders(tmp_path) as (here, sweep, learner):
        for number in range(300):
            here.clock[0] += 20
            await here.ask("twice" if number % 2 else "")
            if number % 5 == 4:
                await asyncio.gather(here.tick(), sweep.tick())
            if number % 50 == 49:
                await asyncio.gather(here.learn(), learner.learn(TASK))
        assert [[rule.text for rule in one.rules] for one in here.store.rule_sets(TASK)] == [[CURES["twice"]]]
        assert decisions(here) == [("canary", 1, 0.4, "cycle"), ("live", 1, 1.0, "watch")]
        shadows = [one for one in here.store.observed(TASK, since=0, limit=9999) if one.arm == "shadow"]
        graded = here.store.graded(TASK, limit=9999)
        assert len({one.exchange.id for one in graded}) == len(graded) > 100
        assert len({one.id for one in shadows}) == len(shadows) <= len(graded)
        assert wrong(here) == {}


@contextlib.contextmanager
def full(store: FullStore) -> Iterator[None]:
    store.full = True
    try:
        yield
    finally:
        store.full = False


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Another process holds the database's only place to write."""
    with contextlib.closing(sqlite3.connect(folder / "preceptor.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")


AT_ONCE = 'shadow = { share = 0.2 }\nrollout = { policy = "at_once", holdback = 0 }\n'


async def test_a_full_disk_is_survived(tmp_path: Path) -> None:
    """It can be read; nothing can be written, by whomever."""
    store = FullStore()
    async with world(configured(tmp_path, task=AT_ONCE), models(), store=store) as here:
        await survives(here, full(store), "full")


async def test_a_locked_database_is_survived(tmp_path: Path) -> None:
    """A real lock, on a real database."""
    with contextlib.closing(SqlStore.open(tmp_path, busy_timeout_s=0.02)) as store:
        async with world(configured(tmp_path, task=AT_ONCE), models(), store=store) as here:
            await survives(here, locked(tmp_path), "locked")
