"""When sweeps and cycles run, who runs them, and that their errors stay theirs."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from gateway.domain import CycleRecord
from gateway.errors import PreceptorError, StoreError
from gateway.services import Services
from gateway.store.memory import MemoryStore
from gateway.upstream.base import Call
from optimizer.distillation.outcome import Outcome
from optimizer.evaluation.answer_cache import AnswerCache
from optimizer.scheduling.learner import Learner, open_learner
from optimizer.scheduling.scheduler import Scheduler, cron_trigger, scheduled, schedules
from tests.fakes import FakeReply, FakeUpstream
from tests.learning import fill, learning_settings, made, script


class Sweeps:
    """Counts its ticks; the first ones fail."""

    def __init__(self, failing: int = 0) -> None:
        self.ticks = 0
        self.closed = False
        self._failing = failing

    async def tick(self) -> None:
        self.ticks += 1
        if self.ticks <= self._failing:
            raise ZeroDivisionError("bug")

    async def aclose(self) -> None:
        self.closed = True


@contextlib.asynccontextmanager
async def working(services: Services, sweeps: Sweeps | None = None) -> AsyncIterator[None]:
    """The optimizer of a gateway at work."""
    context = services.learner_context()
    async with open_learner(context) as learner, scheduled(context, learner, sweeps or Sweeps()):
        yield


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("*/30 * * * *", "2026-01-01T10:01:00", "2026-01-01T10:30:00"),
        ("*/5 * * * * *", "2026-01-01T10:01:01", "2026-01-01T10:01:05"),
        ("0 3 * * *", "2026-01-01T10:00:00", "2026-01-02T03:00:00"),
    ],
)
def test_cron_expressions_have_five_or_six_fields(expression: str, after: str, expected: str) -> None:
    """With six, the first one is seconds."""
    cron = cron_trigger(expression)
    cron.timezone = UTC
    moment = datetime.fromisoformat(after).replace(tzinfo=UTC)
    assert cron.get_next_fire_time(None, moment) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize("expression", ["", "nonsense", "61 * * * *", "* * * *"])
def test_what_is_no_cron_expression_is_refused(expression: str) -> None:
    """At start-up and by ``check``, not at three in the morning."""
    with pytest.raises(ValueError, match=r"."):
        cron_trigger(expression)


async def test_the_schedule_runs_the_cycle(tmp_path: Path) -> None:
    """Graded traffic is all it takes."""
    store = MemoryStore()
    fill(store, 150)
    configured = learning_settings('schedule = "* * * * * *"\n', data_dir=str(tmp_path))
    async with working(made(FakeUpstream(script()), store, configured)):
        async with asyncio.timeout(20):
            while not store.active():
                await asyncio.sleep(0.05)
    assert store.active()["arithmetic"].version == 1


async def test_a_task_may_have_a_schedule_of_its_own(tmp_path: Path) -> None:
    """It goes before the optimizer's, and a configuration that is read again changes the jobs."""
    store, upstream = MemoryStore(), FakeUpstream(script())
    fill(store, 150)
    configured = learning_settings('schedule = "* * * * * *"\n', data_dir=str(tmp_path))
    never = msgspec.structs.replace(configured.tasks["arithmetic"], schedule="0 0 31 2 *")
    held = msgspec.structs.replace(configured, tasks={"arithmetic": never})
    assert schedules(configured) == {"arithmetic": "* * * * * *"} and schedules(held) == {"arithmetic": "0 0 31 2 *"}
    services = made(upstream, store, held)
    before = list(services.on_reload)
    async with working(services):
        await asyncio.sleep(1.1)
        assert upstream.bodies == []
        services.serving = dataclasses.replace(services.serving, settings=configured)
        for changed in services.on_reload:
            changed()
        async with asyncio.timeout(20):
            while not store.active():
                await asyncio.sleep(0.05)
    assert services.on_reload == before


async def test_a_bug_in_a_cycle_stops_at_the_schedule(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged with its traceback; requests and the next look go on."""
    store = MemoryStore()
    fill(store, 150)

    def broken(body: object) -> str:
        raise ZeroDivisionError("bug")

    services = made(FakeUpstream(broken), store, learning_settings(data_dir=str(tmp_path)))
    async with open_learner(services.learner_context()) as learner:
        await Scheduler(services.learner_context(), learner, Sweeps()).look("arithmetic")
    assert "cycle failed" in caplog.text
    assert store.active() == {}


async def test_an_error_of_the_store_stops_there_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One line; the next look tries again. A task that is no longer configured is no error."""

    class Away(MemoryStore):
        def open_cycle(self, task: str) -> CycleRecord | None:
            raise StoreError("the database is away")

    services = made(FakeUpstream(script()), Away(), learning_settings(data_dir=str(tmp_path)))
    async with open_learner(services.learner_context()) as learner:
        scheduler = Scheduler(services.learner_context(), learner, Sweeps())
        await scheduler.look("arithmetic")
        await scheduler.look("gone")
        await scheduler.aclose()
    assert caplog.text.count("cycle failed: the database is away") == 1 and "gone" not in caplog.text


async def test_sweeps_go_on_while_a_cycle_runs_and_after_one_failed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What takes a bad rule set off the air waits for nobody."""
    store, sweeps = MemoryStore(), Sweeps(failing=2)
    fill(store, 150)
    asked, go_on = asyncio.Event(), asyncio.Event()

    class Slow(FakeUpstream):
        async def send(self, call: Call) -> FakeReply:
            asked.set()
            await go_on.wait()
            return await super().send(call)

    configured = learning_settings('schedule = "* * * * * *"\nsweep_s = 0.01\n', data_dir=str(tmp_path))
    async with working(made(Slow(script()), store, configured), sweeps), asyncio.timeout(20):
        await asked.wait()
        seen = sweeps.ticks
        while sweeps.ticks < seen + 5:
            await asyncio.sleep(0.01)
        assert store.active() == {}
        go_on.set()
        while not store.active():
            await asyncio.sleep(0.05)
    assert caplog.text.count("sweep failed") == 2 and sweeps.closed


async def test_cycles_run_one_after_another(tmp_path: Path) -> None:
    """Of all tasks, however many are due: each has the budget of the strong model's limits to itself."""
    running, most = 0, 0

    class Teacher(Learner):
        async def learn(self, task: str) -> Outcome | None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            running -= 1
            return None

    services = made(FakeUpstream(script()), MemoryStore(), learning_settings(data_dir=str(tmp_path)))
    evaluations = AnswerCache(tmp_path / "evaluations")
    scheduler = Scheduler(services.learner_context(), Teacher(services.learner_context(), evaluations), Sweeps())
    await asyncio.gather(*(scheduler.look("arithmetic") for _ in range(5)))
    await scheduler.aclose()
    evaluations.close()
    assert most == 1


async def test_a_follower_neither_looks_nor_sweeps(tmp_path: Path) -> None:
    """Only the process that leads on a data folder does; it leads as long as its schedule runs, and then lets go."""
    store, upstream, sweeps = MemoryStore(), FakeUpstream(script()), Sweeps()
    fill(store, 150)
    services = made(upstream, store, learning_settings("sweep_s = 0.01\n", data_dir=str(tmp_path)))
    async with open_learner(services.learner_context()) as learner:
        follower = Scheduler(services.learner_context(), learner, Sweeps())
        async with scheduled(services.learner_context(), learner, sweeps) as scheduler, asyncio.timeout(20):
            while not sweeps.ticks:
                await asyncio.sleep(0.01)
            await follower.look("arithmetic")
            await follower.sweep()
            assert scheduler.leader.leads and not follower.leader.leads
            with pytest.raises(PreceptorError, match="another process leads on"):
                await follower.once()
        assert upstream.bodies == []
        await follower.once()
        assert store.active() and follower.leader.leads
        await follower.aclose()


async def test_closing_in_the_middle_of_a_cycle_leaves_it_to_be_taken_up(tmp_path: Path) -> None:
    """A restart costs no money."""
    store = MemoryStore()
    fill(store, 150)
    upstream = FakeUpstream(script())
    configured = learning_settings('schedule = "* * * * * *"\n', data_dir=str(tmp_path))
    async with working(made(upstream, store, configured)):
        async with asyncio.timeout(20):
            while len(upstream.bodies) < 20:
                await asyncio.sleep(0)
    assert store.open_cycle("arithmetic") is not None
