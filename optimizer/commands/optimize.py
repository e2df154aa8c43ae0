"""``preceptor optimize``: the scheduler on its own."""

import asyncio
from pathlib import Path

import click

from gateway import logs
from gateway.commands.options import config_option, settings_of
from optimizer.commands.workbench import learner_on
from optimizer.schedule import look, scheduled


@click.command(epilog="Example: preceptor optimize --once")
@config_option
@click.option("--once", is_flag=True, help="Look once at every task instead of by schedule.")
def optimize(config: Path | None, once: bool) -> None:
    """Run the scheduler on its own, for gateways with optimizer.enabled = false."""
    settings = settings_of(config)
    logs.configure()

    async def work() -> None:
        async with learner_on(settings) as (services, teacher):
            if once:
                await look(services, teacher)
                return
            async with scheduled(services):
                await asyncio.Event().wait()

    asyncio.run(work())
