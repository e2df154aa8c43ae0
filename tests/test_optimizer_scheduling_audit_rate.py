"""The audit rate that follows the traffic."""

from collections.abc import Sequence
from typing import Any

import pytest

from gateway.store.memory import MemoryStore
from optimizer.scheduling.audit_rate import LEAST, ROWS, WANTED, AuditRates, adjust, period_s, rate_for
from optimizer.scheduling.scheduler import cron_trigger
from tests.fakes import CONFIG, FakeUpstream, services, settings
from tests.test_store_base import exchange

NOW = 1_800_000_000.0
TASK = "arithmetic"
HALF_HOUR = 1800.0


def traffic(number: int, window: float = HALF_HOUR, **changes: Any) -> list[Any]:
    """Exchanges at even distances until now."""
    step = window / max(number, 1)
    return [exchange(f"x{at}", task=TASK, created=NOW - window + at * step, **changes) for at in range(number)]


def observed(recorded: Sequence[Any]) -> list[Any]:
    store = MemoryStore()
    store.record(recorded)
    return store.observed(TASK, since=0.0, limit=ROWS)


@pytest.mark.parametrize(
    ("arrived", "rate"),
    [(0, 1.0), (20, 1.0), (WANTED, 1.0), (500, 0.5), (900, 0.2778), (9_000, 0.0278), (10**5, LEAST)],
)
def test_the_rate_brings_as_many_exchanges_as_are_wanted(arrived: int, rate: float) -> None:
    """From cycle to cycle; of a lot of traffic the newest part tells enough."""
    rows = observed(traffic(min(arrived, ROWS), HALF_HOUR * min(arrived, ROWS) / max(arrived, 1)))
    assert rate_for(rows, HALF_HOUR, HALF_HOUR, NOW) == pytest.approx(rate, rel=0.01)


def test_shadows_are_no_traffic() -> None:
    """No client asked for them."""
    assert rate_for(observed(traffic(500, arm="shadow")), HALF_HOUR, HALF_HOUR, NOW) == 1.0


def test_a_rate_is_set_when_it_differs_enough() -> None:
    """A history with an entry for each look would hide what people decided."""
    store = MemoryStore()
    store.record(traffic(500))
    for _ in range(2):
        adjust(store, TASK, HALF_HOUR, NOW)
    store.record([exchange("one more", task=TASK, created=NOW)])
    adjust(store, TASK, HALF_HOUR, NOW)
    assert [(entry.kind, entry.share, entry.by) for entry in store.history(TASK)] == [("audit", 0.5, "sweep")]
    adjust(store, TASK, HALF_HOUR, NOW + HALF_HOUR + 1)
    assert [entry.share for entry in store.history(TASK)] == [0.5, 1.0]


async def test_a_configured_share_is_left_alone_and_looks_are_rare() -> None:
    """The configuration decides; else every ten minutes is often enough."""
    fixed = CONFIG.replace("[optimizer]", "audit = { share = 0.125 }\n[optimizer]")
    for text, entries in ((fixed, 0), (CONFIG, 1)):
        store = MemoryStore()
        store.record(traffic(500))
        clock = [0.0]
        made = services(
            settings(text), {"mock": FakeUpstream(lambda body: "4")}, store,
            wall_clock=lambda: NOW, clock=lambda clock=clock: clock[0],
        )  # fmt: skip
        rates = AuditRates(made.learner_context())
        triggers = {TASK: cron_trigger("*/30 * * * *"), "gone": cron_trigger("0 3 * * *")}
        await rates.tick(triggers)
        store.record([exchange(f"y{number}", task=TASK, created=NOW) for number in range(450)])
        await rates.tick(triggers)
        assert len(store.history(TASK)) == entries
        clock[0] = 700.0
        await rates.tick(triggers)
        assert len(store.history(TASK)) == 2 * entries


@pytest.mark.parametrize(
    ("expression", "seconds"), [("*/30 * * * *", 1800.0), ("*/5 * * * * *", 60.0), ("0 3 * * *", 86_400.0),
                                ("0 3 1 1 *", 7 * 86_400.0)],
)  # fmt: skip
def test_the_period_is_the_schedule_s(expression: str, seconds: float) -> None:
    """Between a minute and a week."""
    assert period_s(cron_trigger(expression), NOW) == seconds
