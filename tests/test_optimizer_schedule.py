"""When cycles run, and that their errors stay theirs."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.store.memory import MemoryStore
from optimizer.learner import leading, learner
from optimizer.schedule import look, scheduled, trigger
from tests.fakes import FakeUpstream
from tests.learning import fill, learning_settings, made, script


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
    cron = trigger(expression)
    cron.timezone = UTC
    moment = datetime.fromisoformat(after).replace(tzinfo=UTC)
    assert cron.get_next_fire_time(None, moment) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize("expression", ["", "nonsense", "61 * * * *", "* * * *"])
def test_what_is_no_cron_expression_is_refused(expression: str) -> None:
    """At start-up and by ``check``, not at three in the morning."""
    with pytest.raises(ValueError, match=r"."):
        trigger(expression)


async def test_the_schedule_runs_the_cycle(tmp_path: Path) -> None:
    """Graded traffic is all it takes."""
    store = MemoryStore()
    fill(store, 150)
    configured = learning_settings('schedule = "* * * * * *"\n', data_dir=str(tmp_path))
    async with scheduled(made(FakeUpstream(script()), store, configured)):
        async with asyncio.timeout(20):
            while not store.active():
                await asyncio.sleep(0.05)
    assert store.active()["arithmetic"].version == 1


async def test_a_bug_in_a_cycle_stops_at_the_schedule(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged with its traceback; requests and the next look go on."""
    store = MemoryStore()
    fill(store, 150)

    def broken(body: object) -> str:
        raise ZeroDivisionError("bug")

    services = made(FakeUpstream(broken), store, learning_settings(data_dir=str(tmp_path)))
    async with learner(services) as teacher:
        await look(services, teacher)
    assert "cycle failed" in caplog.text
    assert store.active() == {}


async def test_a_follower_does_not_look(tmp_path: Path) -> None:
    """Only the process that leads on a data folder runs cycles."""
    store, upstream = MemoryStore(), FakeUpstream(script())
    fill(store, 150)
    services = made(upstream, store, learning_settings(data_dir=str(tmp_path)))
    async with learner(services) as teacher:
        with leading(tmp_path):
            await look(services, teacher)
    assert upstream.bodies == []


async def test_closing_in_the_middle_of_a_cycle_leaves_it_to_be_taken_up(tmp_path: Path) -> None:
    """A restart costs no money."""
    store = MemoryStore()
    fill(store, 150)
    upstream = FakeUpstream(script())
    configured = learning_settings('schedule = "* * * * * *"\n', data_dir=str(tmp_path))
    async with scheduled(made(upstream, store, configured)):
        async with asyncio.timeout(20):
            while len(upstream.bodies) < 20:
                await asyncio.sleep(0)
    assert store.open_cycle("arithmetic") is not None
