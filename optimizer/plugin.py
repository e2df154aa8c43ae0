"""How the optimizer joins the gateway: the object behind the entry point ``gateway.plugins``."""

import contextlib
from collections.abc import AsyncIterator, Sequence

import click

from gateway.services import Services


class OptimizerPlugin:
    """Implements ``gateway.plugins.Plugin``."""

    def commands(self) -> Sequence[click.Command]:
        """``distill``, ``eval``, ``verify``, ``optimize`` and ``demo``."""
        from optimizer.commands import COMMANDS

        return COMMANDS

    @contextlib.asynccontextmanager
    async def lifespan(self, services: Services) -> AsyncIterator[None]:
        """Cycles by schedule, if the configuration wants them."""
        if not services.settings.optimizer.enabled or not services.settings.tasks:
            yield
            return
        from optimizer.schedule import scheduled

        async with scheduled(services):
            yield


plugin = OptimizerPlugin()
