"""``preceptor optimize``: the scheduler on its own."""

import asyncio
import contextlib
from pathlib import Path

import click

from gateway import logs
from gateway.commands.options import config_option, settings_of
from optimizer.commands.workbench import learner_on
from optimizer.scheduling.leader import Leader
from optimizer.scheduling.scheduler import Scheduler, scheduled


@click.command(epilog="Example: preceptor optimize --once")
@config_option
@click.option("--once", is_flag=True, help="Look once at traffic and every task, not by schedule.")
def optimize(config: Path | None, once: bool) -> None:
    """Run the scheduler without a gateway.

    For gateways with optimizer.enabled = false. Of several schedulers on one data folder only the first works and the
    others wait; with --once a second scheduler fails.
    """
    settings = settings_of(config)
    logs.configure()
    folder = settings.server.data_dir
    if once and folder.exists():  # fail before models are started for nothing
        leader = Leader(folder, settings.server.store)
        leader.insist()
        leader.release()

    async def work() -> None:
        async with learner_on(settings) as (services, learner):
            if once:
                async with contextlib.aclosing(Scheduler(services.learner_context(), learner)) as scheduler:
                    await scheduler.once()
            else:
                async with scheduled(services.learner_context(), learner):
                    await asyncio.Event().wait()

    asyncio.run(work())
