"""How the optimizer joins the gateway: the object behind the entry point ``gateway.plugins``."""

import contextlib
from collections.abc import AsyncIterator, Sequence

import click

from gateway.services import Services
from gateway.settings import Settings


class OptimizerPlugin:
    """Implements ``gateway.plugins.Plugin``."""

    def commands(self) -> Sequence[click.Command]:
        """``distill``, ``migrate``, ``eval``, ``verify``, ``optimize``, ``demo``, and more of ``tasks``."""
        from optimizer.commands import COMMANDS

        return COMMANDS

    def mistakes(self, settings: Settings) -> Sequence[str]:
        """Schedules that are no cron expressions, and graders that cannot be used."""
        from optimizer.grading import graders
        from optimizer.scheduling.scheduler import trigger

        found = graders.mistakes(settings.tasks)
        given = {f"tasks.{name}.schedule": task.schedule for name, task in settings.tasks.items()}
        for key, expression in {"optimizer.schedule": settings.optimizer.schedule, **given}.items():
            try:
                if expression is not None:
                    trigger(expression)
            except ValueError as error:
                found.append(f"{key}: not a cron expression: {error}")
        return found

    @contextlib.asynccontextmanager
    async def lifespan(self, services: Services) -> AsyncIterator[None]:
        """Sweeps and cycles in a process of their own, if the configuration wants them."""
        if not services.settings.optimizer.enabled:
            yield
            return
        from optimizer.scheduling.process.parent import learning

        async with learning(services):
            yield


plugin = OptimizerPlugin()
