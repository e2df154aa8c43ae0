"""The scheduler of the optimizer: sweeps every few seconds and cycles by cron, side by side, in the leading process.

Cycles are APScheduler's jobs, in the event loop: one after another, missed runs merged. Sweeps go by the loop's own
clock. APScheduler goes by the wall clock: set back by an hour, it would rest for an hour, and roll-backs with it. No
error of a sweep or a cycle gets out: requests go on.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Protocol

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger

from gateway.context import LearnerContext
from gateway.errors import PreceptorError
from gateway.settings import Settings
from optimizer.monitoring.sweep import Sweep
from optimizer.scheduling.audit_rate import AuditRates
from optimizer.scheduling.leader import Leader
from optimizer.scheduling.learner import Learner

log = logging.getLogger(__name__)


Leads = Callable[[], bool]


class Ticking(Protocol):
    """A repeated task, such as a ``Sweep``: once every ``optimizer.sweep_s`` seconds."""

    async def tick(self) -> None: ...

    async def aclose(self) -> None: ...


def cron_trigger(expression: str) -> CronTrigger:
    """A cron expression of five fields, or six with seconds first. Raises ``ValueError``."""
    seconds, _, rest = expression.partition(" ")
    if len(expression.split()) != 6:
        return CronTrigger.from_crontab(expression)
    minute, hour, day, month, weekday = rest.split()
    return CronTrigger(second=seconds, minute=minute, hour=hour, day=day, month=month, day_of_week=weekday)


def schedules(settings: Settings) -> dict[str, str]:
    """Return the cron expression of every task's cycles."""
    return {name: task.schedule or settings.optimizer.schedule for name, task in settings.tasks.items()}


class Scheduler:
    """The sweeps and cycles of one process, and its claim to lead."""

    def __init__(
        self, context: LearnerContext, learner: Learner, sweep: Ticking | None = None, leads: Leads | None = None
    ) -> None:
        """``leads`` blocks and returns the permission to work now; by default a ``Leader`` of its own decides."""
        self.leader = Leader(context.settings.server.data_dir, context.settings.server.store)
        self._leads = leads or self.leader.claim
        self._context = context
        self._learner = learner
        self._sweep = sweep or Sweep(context, evaluator=learner.evaluator, model=learner.model)
        self._audit_rates = AuditRates(context)
        self._one_at_a_time = asyncio.Lock()

    async def sweep(self) -> None:
        """One sweep, if this process leads."""
        try:
            if await asyncio.to_thread(self._leads):
                await self._sweep.tick()
                expressions = schedules(self._context.settings)
                await self._audit_rates.tick({task: cron_trigger(cron) for task, cron in expressions.items()})
        except Exception:
            log.exception("sweep failed", extra={"action": "sweep.bug"})

    async def sweeps(self) -> None:
        """Sweep without end: the next sweep begins ``optimizer.sweep_s`` seconds after the last one ended."""
        while True:
            await self.sweep()
            await asyncio.sleep(self._context.settings.optimizer.sweep_s)

    async def look(self, task: str) -> None:
        """Run the task's cycle, if there is a trigger and this process leads once its turn has come."""
        async with self._one_at_a_time:
            if task not in self._context.settings.tasks or not await asyncio.to_thread(self._leads):
                return
            try:
                await self._learner.learn(task)
            except PreceptorError as error:
                log.warning("cycle failed: %s", error.for_log(), extra={"action": "cycle.failed", "task": task})
            except Exception:
                log.exception("cycle failed", extra={"action": "cycle.bug", "task": task})

    async def once(self) -> None:
        """Sweep once, then look at every task. Raises ``AnotherLeads``."""
        await asyncio.to_thread(self.leader.insist)
        await self.sweep()
        for task in self._context.settings.tasks:
            await self.look(task)

    async def aclose(self) -> None:
        """End the work that sweeps began, and let another process lead."""
        await self._sweep.aclose()
        self.leader.release()


@contextlib.asynccontextmanager
async def scheduled(
    context: LearnerContext, learner: Learner, sweep: Ticking | None = None, leads: Leads | None = None
) -> AsyncIterator[Scheduler]:
    """Run sweeps and cycles while the context is open; an interrupted cycle is resumed next time."""
    scheduler = Scheduler(context, learner, sweep, leads)
    cron = AsyncIOScheduler()
    running: set[asyncio.Task[None]] = set()

    def begin(work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        running.add(task)
        task.add_done_callback(running.discard)
        return task

    async def job(task: str) -> None:
        # APScheduler cancels jobs without waiting for them: the work is kept, to end before its cache is closed.
        with contextlib.suppress(asyncio.CancelledError):  # it would say that the job failed
            await asyncio.wait([begin(scheduler.look(task))])

    def declare() -> None:
        cron.remove_all_jobs()
        for task, expression in schedules(context.settings).items():
            cron.add_job(job, cron_trigger(expression), [task], name=task, max_instances=1, coalesce=True,
                              misfire_grace_time=None)  # fmt: skip

    declare()
    # A task whose turn comes while its last one still runs is no news: its runs are merged.
    logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)
    cron.start()
    context.on_reload.append(declare)
    try:
        async with context.background.running("sweeps", scheduler.sweeps):
            yield scheduler
    finally:
        context.on_reload.remove(declare)
        cron.shutdown(wait=False)
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await scheduler.aclose()
