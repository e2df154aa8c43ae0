"""How the optimizer joins the gateway: the object behind the entry point ``gateway.plugins``."""

import contextlib
from collections.abc import AsyncIterator, Sequence

import click

from gateway.services import Services
from gateway.settings import Settings


class OptimizerPlugin:
    """Implements ``gateway.plugins.Plugin``."""

    def commands(self) -> Sequence[click.Command]:
        """``distill``, ``eval``, ``verify``, ``optimize`` and ``demo``."""
        from optimizer.commands import COMMANDS

        return COMMANDS

    def mistakes(self, settings: Settings) -> Sequence[str]:
        """A schedule that is no cron expression, and graders that cannot be used."""
        from optimizer import graders
        from optimizer.schedule import trigger

        found = graders.mistakes(settings.tasks)
        try:
            trigger(settings.optimizer.schedule)
        except ValueError as error:
            found.append(f"optimizer.schedule: not a cron expression: {error}")
        return found

    @contextlib.asynccontextmanager
    async def lifespan(self, services: Services) -> AsyncIterator[None]:
        """Cycles by schedule, if the configuration wants them."""
        if not services.settings.optimizer.enabled:
            yield
            return
        from optimizer.schedule import scheduled

        async with scheduled(services):
            yield


plugin = OptimizerPlugin()
