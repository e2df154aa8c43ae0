"""Learning's money, reserved over several gateways: under the budgets of tasks alone, not under their limits.

A process that learns counts in Valkey as a writer of its own, beside the gateways.
"""

import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import Final
from uuid import uuid4

from gateway.background import Background
from gateway.domain import Usage
from gateway.errors import Conflict, StoreError
from gateway.quotas.quotas import Claim, Quotas
from gateway.quotas.replicas import ReplicaCounts
from gateway.settings import Settings
from gateway.settings.quotas import NO_LIMITS
from gateway.spending.book import Place, SpendBook
from gateway.spending.keeping import Spending
from gateway.spending.paid import LEARNER
from gateway.store.base import Store

log = logging.getLogger(__name__)

_ANSWER_S: Final = 1.0
"""Learning has more time than a request."""


class LearningPurse:
    """The money of a process that learns. ``settings`` returns those in effect; ``clock`` is in seconds."""

    def __init__(
        self, settings: Callable[[], Settings], store: Store, replicas: ReplicaCounts, clock: Callable[[], float]
    ) -> None:
        self._settings, self._store, self._replicas = settings, store, replicas
        self._quotas, self._book = Quotas(clock, replicas.now), SpendBook()
        self._spending = Spending(self._book, self._quotas, replicas)
        self.configure()

    def configure(self) -> None:
        """Put the budgets of the configuration into effect."""
        tasks = self._settings().tasks.items()
        self._quotas.configure(
            {("task", name): (NO_LIMITS, task.budget) for name, task in tasks if task.budget is not None}
        )

    async def reserve(self, task: str, usd: float) -> Claim | None:
        """Reserve money under a task's budget; ``None`` without a budget.

        Raises ``RateLimited``, or ``Overloaded`` without the counters.
        """
        meters = self._quotas.of(None, task)
        if not meters:
            return None
        claim = self._quotas.claim(meters, cost_usd=usd, refuse_money=False)
        await claim.confirm(self._replicas)
        return claim

    def pay(self, claim: Claim | None, place: Place, usage: Usage, usd: float) -> None:
        """Put the true cost in the place of a reservation, and into the book."""
        at = self._replicas.now()
        if claim is not None:
            claim.settle(0, usd, at)
        # No client asked for it: with the strong model it would have cost nothing.
        self._book.add(at, place, usage, usd, 0.0)

    async def store(self) -> None:
        """Store the payments. Raises ``StoreError``."""
        await self._spending.step(self._store, self._replicas.now())

    @contextlib.asynccontextmanager
    async def running(self, background: Background) -> AsyncIterator[None]:
        """Keep the counters and the store in line while the context is open."""
        await self._try_to_store()

        async def keep() -> None:
            await self._spending.keep(self._store, self._replicas.now)

        async with (
            self._replicas.running(background, lambda: self._quotas.meters),
            background.running("learning.money", keep),
        ):
            try:
                yield
            finally:
                await self._try_to_store()

    async def _try_to_store(self) -> None:
        try:
            await self.store()
        except (StoreError, Conflict) as error:
            log.warning("the spending of learning waits: %s", error, extra={"action": "spending.keep"})


def purse_of(settings: Callable[[], Settings], store: Store, clock: Callable[[], float]) -> LearningPurse | None:
    """Return the purse of a process that learns; ``None`` without shared counters."""
    server = settings().server
    if server.counters is None:
        return None
    replicas = ReplicaCounts(server.counters, f"{LEARNER}{uuid4().hex}", server.counters_fail, answer_s=_ANSWER_S)
    return LearningPurse(settings, store, replicas, clock)
