"""When cycles run: APScheduler in the event loop, the job declared in code, no overlap, missed runs merged."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger

from gateway.errors import PreceptorError
from gateway.services import Services
from optimizer.learner import Learner, leading, learner

log = logging.getLogger(__name__)


def trigger(expression: str) -> CronTrigger:
    """A cron expression of five fields, or six with seconds first. Raises ``ValueError``."""
    seconds, _, rest = expression.partition(" ")
    if len(expression.split()) != 6:
        return CronTrigger.from_crontab(expression)
    minute, hour, day, month, weekday = rest.split()
    return CronTrigger(second=seconds, minute=minute, hour=hour, day=day, month=month, day_of_week=weekday)


async def look(services: Services, teacher: Learner) -> None:
    """Run what there is to run, task after task, if this process leads. No error gets out: requests go on."""
    with leading(services.settings.server.data_dir) as leads:
        if not leads:
            return
        for task in services.settings.tasks:
            try:
                await teacher.learn(task)
            except PreceptorError as error:
                log.warning("cycle failed: %s", error, extra={"action": "cycle.failed", "task": task})
            except Exception:
                log.exception("cycle failed", extra={"action": "cycle.bug", "task": task})


@contextlib.asynccontextmanager
async def scheduled(services: Services) -> AsyncIterator[None]:
    """Cycles run by schedule while the context is open; one that is under way when it closes is taken up next time."""
    running: set[asyncio.Task[None]] = set()

    async with learner(services) as teacher:

        async def job() -> None:
            # APScheduler cancels jobs without waiting for them: the task is kept, to end before the cache closes.
            task = asyncio.create_task(look(services, teacher))
            running.add(task)
            task.add_done_callback(running.discard)
            await asyncio.wait([task])

        scheduler = AsyncIOScheduler()
        planned = scheduler.add_job(job, trigger(services.settings.optimizer.schedule), max_instances=1, coalesce=True,
                                    misfire_grace_time=None)  # fmt: skip
        scheduler.start()

        def reschedule() -> None:
            planned.reschedule(trigger(services.settings.optimizer.schedule))

        services.on_reload.append(reschedule)
        try:
            yield
        finally:
            services.on_reload.remove(reschedule)
            scheduler.shutdown(wait=False)
            for task in list(running):
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
