"""The audit rate of tasks without a configured share: about ``WANTED`` audited exchanges from cycle to cycle.

The gateway draws with the rate in the task's history (``rules.decisions.set_audit_rate``), and with 1 before the first
entry. Each exchange stores its own rate, so a change of the rate needs no correction of the past.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from apscheduler.triggers.cron import CronTrigger

from gateway.context import LearnerContext
from gateway.rules.decisions import set_audit_rate
from gateway.store.base import Observed, Store

WANTED = 250
"""Audited exchanges from one cycle to the next."""
LEAST = 0.02
"""Smallest rate: rare groups of requests stay in sight."""
CHANGE = 1.5
"""Factor between two rates that is worth a new entry in the history."""
INTERVAL_S = 600.0
"""Seconds between two looks at a task's traffic."""
ROWS = 1000
"""Newest exchanges by which the traffic is estimated."""
_DAY_S = 86_400.0

log = logging.getLogger(__name__)


class AuditRates:
    """Keeps the rates of one process's tasks."""

    def __init__(self, context: LearnerContext) -> None:
        self._context = context
        self._due = 0.0
        """By the monotonic clock, in seconds."""

    async def tick(self, triggers: dict[str, CronTrigger]) -> None:
        """Set the rate of every task whose traffic asks for another one. Raises ``StoreError``."""
        context = self._context
        if context.clock() < self._due:
            return
        self._due = context.clock() + INTERVAL_S
        for task, trigger in triggers.items():
            section = context.settings.tasks.get(task)
            if section is not None and section.audit.share is None:
                now = context.wall_clock()
                await asyncio.to_thread(adjust, context.store, task, period_s(trigger, now), now)


def adjust(store: Store, task: str, period: float, now: float) -> None:
    """Set a task's rate for cycles ``period`` seconds apart, if it differs enough. Raises ``StoreError``."""
    window = min(period, _DAY_S)
    rate = rate_for(store.observed(task, since=now - window, limit=ROWS), window, period, now)
    split = store.traffic_splits().get(task)
    present = 1.0 if split is None or split.audit_rate is None else split.audit_rate
    if max(rate, present) < CHANGE * min(rate, present):
        return
    set_audit_rate(store, task, rate, now=now, by="sweep", why=f"about {WANTED} exchanges from cycle to cycle")
    log.info("%.1f%% of the exchanges are audited", 100 * rate, extra={"action": "audit.rate", "task": task})


def rate_for(rows: Sequence[Observed], window: float, period: float, now: float) -> float:
    """Return the rate that brings about ``WANTED`` exchanges in ``period`` seconds, from the traffic of a window.

    ``rows`` are the exchanges of the last ``window`` seconds; ``ROWS`` of them may be the newest part only.
    """
    if len(rows) >= ROWS:
        window = min(max(now - rows[0].created, 1.0), window)
    arrived = sum(row.arm != "shadow" for row in rows)
    expected = arrived * period / window
    return round(min(1.0, max(LEAST, WANTED / expected if expected else 1.0)), 4)


def period_s(trigger: CronTrigger, now: float) -> float:
    """Return the seconds between the next two cycles: a minute at least, a week at most or without a next one."""
    first = trigger.get_next_fire_time(None, datetime.fromtimestamp(now, UTC))
    second = first and trigger.get_next_fire_time(first, first + timedelta(seconds=1))
    return min(max((second - first).total_seconds(), 60.0), 7 * _DAY_S) if first and second else 7 * _DAY_S
