"""Work with a task's models and store from the shell, without serving, and end well at Ctrl-C.

After the first Ctrl-C (or SIGTERM) no new call begins; calls under way get ``GRACE_S`` seconds, because they are paid
for. Then, or at a second Ctrl-C, they are given up. Answers are kept either way.
"""

import asyncio
import contextlib
import dataclasses
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Generic, NoReturn, TypeVar

import click

from gateway.app import build_services, running
from gateway.commands.options import store_of
from gateway.errors import PreceptorError
from gateway.services import Services
from gateway.settings import Settings
from gateway.spending.purse import purse_of
from gateway.upstream.quirk_memory import server_digest
from gateway.upstream.quirks import described
from optimizer.commands.progress import Bars, say
from optimizer.evaluation.budget import Ledger, Stopped
from optimizer.evaluation.evaluator import Evaluator
from optimizer.scheduling.learner import Learner, open_learner

GRACE_S = 5.0
"""Seconds for calls under way to end after Ctrl-C."""
_ENDINGS = (signal.SIGINT, signal.SIGTERM)

Result = TypeVar("Result")


@dataclass(frozen=True)
class Workbench:
    """Services, learner and evaluator for a command."""

    services: Services
    learner: Learner
    evaluator: Evaluator

    def learnt_quirks(self) -> tuple[str, ...]:
        """Describe the quirks of the configured models, as far as they are known."""
        settings, memory = self.services.settings, self.services.quirks
        known = {
            name: described(memory.quirks((server_digest(settings.upstreams[model.upstream]), model.model)))
            for name, model in settings.models.items()
        }
        return tuple(f"{name} takes requests in its own form: {quirks}" for name, quirks in known.items() if quirks)


Work = Callable[[Workbench], Awaitable[Result]]


@dataclass(frozen=True)
class Done(Generic[Result]):
    """The result of some work, its beginning and end (seconds since the epoch), and its ledger."""

    result: Result
    began: float
    ended: float
    ledger: Ledger


def work_on(settings: Settings, work: Work[Result]) -> Done[Result]:
    """Work with a task's models and store. Raises ``Stopped`` if calls under way had to be given up."""

    async def opened() -> Done[Result]:
        async with learner_on(settings) as (services, learner):
            with Bars(settings.models) as bars:
                began, evaluator = services.wall_clock(), learner.evaluator(bars)
                bars.follow(evaluator.ledger)
                with ending_well(evaluator.ledger):
                    result = await work(Workbench(services, learner, evaluator))
                return Done(result, began, services.wall_clock(), evaluator.ledger)

    try:
        return asyncio.run(opened())
    except asyncio.CancelledError:
        raise Stopped("stopped, and the calls under way given up") from None


@contextlib.asynccontextmanager
async def learner_on(settings: Settings) -> AsyncIterator[tuple[Services, Learner]]:
    """Open the services of a configuration and a learner on them. Raises ``StoreError``."""
    with store_of(settings) as store:
        services = build_services(settings, store)
        purse = purse_of(lambda: services.settings, store, services.clock)
        context = dataclasses.replace(services.learner_context(), purse=purse)
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(running(services))
            if purse is not None:
                await stack.enter_async_context(purse.running(services.background))
            yield services, await stack.enter_async_context(open_learner(context))


def unfinished(why: str, *, stopped: bool) -> NoReturn:
    """End a command with the advice to run it again. The exit code is 130 (Ctrl-C) if it was ``stopped``."""
    how = f"{why}; run the same command again to go on without paying twice"
    if not stopped:
        raise PreceptorError(how)
    say(f"preceptor: {how}")
    raise click.exceptions.Exit(130)


@contextlib.contextmanager
def ending_well(ledger: Ledger, grace_s: float = GRACE_S) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the work in two steps."""
    loop, work = asyncio.get_running_loop(), asyncio.current_task()
    assert work is not None
    waiting: list[asyncio.TimerHandle] = []

    def end() -> None:
        if ledger.stopped:
            work.cancel()
            return
        ledger.stop()
        say(f"stopping: calls under way get {grace_s:.0f} seconds; press Ctrl-C again to give them up")
        waiting.append(loop.call_later(grace_s, work.cancel))

    if threading.current_thread() is not threading.main_thread():  # signals reach the main thread only
        yield
        return
    for ending in _ENDINGS:
        loop.add_signal_handler(ending, end)
    try:
        yield
    finally:
        for ending in _ENDINGS:
            loop.remove_signal_handler(ending)
            signal.signal(ending, signal.default_int_handler)  # as the command line has it
        for handle in waiting:
            handle.cancel()
