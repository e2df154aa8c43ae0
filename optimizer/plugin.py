"""Join the optimizer to the gateway: the object behind the entry point ``gateway.plugins``."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Mapping, Sequence

import click
from litestar.types import ASGIApp, Receive, Scope, Send

from gateway.services import Services
from gateway.settings import Settings


class OptimizerPlugin:
    """Implements ``gateway.plugins.Plugin``."""

    def commands(self) -> Sequence[click.Command]:
        """Return ``distill``, ``migrate``, ``eval``, ``verify``, ``forget`` and others, and more of ``tasks``."""
        from optimizer.commands import COMMANDS

        return COMMANDS

    def mistakes(self, settings: Settings) -> Sequence[str]:
        """Return the mistakes in schedules (no cron expression), in graders and in an operator's prompts."""
        from optimizer.grading import graders
        from optimizer.prompts import PromptFolder
        from optimizer.scheduling.scheduler import cron_trigger

        mistakes = graders.mistakes(settings.tasks)
        given = {f"tasks.{name}.schedule": task.schedule for name, task in settings.tasks.items()}
        for key, expression in {"optimizer.schedule": settings.optimizer.schedule, **given}.items():
            try:
                if expression is not None:
                    cron_trigger(expression)
            except ValueError as error:
                mistakes.append(f"{key}: not a cron expression: {error}")
        own = PromptFolder(folder=settings.optimizer.prompts_dir).mistakes()
        return [*mistakes, *(f"optimizer.prompts_dir: {mistake}" for mistake in own)]

    def mounts(self, services: Services) -> Mapping[str, ASGIApp]:
        """Return the console; it is loaded by its first visitor."""
        site: list[ASGIApp] = []

        def load() -> ASGIApp:
            from optimizer.console.site import Console

            return Console(services)

        async def console(scope: Scope, receive: Receive, send: Send) -> None:
            if not site:
                site.append(await asyncio.to_thread(load))  # requests of models do not wait for the imports
            await site[0](scope, receive, send)

        return {"/ui": console}

    @contextlib.asynccontextmanager
    async def lifespan(self, services: Services) -> AsyncIterator[None]:
        """Run sweeps and cycles in a process of their own, if the configuration wants them; clear old answers."""
        from optimizer.evaluation.answer_cache import FOLDER, forget_answers

        services.on_retention.append(functools.partial(forget_answers, services.settings.server.data_dir / FOLDER))
        if not services.settings.optimizer.enabled:
            yield
            return
        from optimizer.scheduling.process.parent import learning

        async with learning(services.learner_context()):
            yield


plugin = OptimizerPlugin()
