"""Gateways of which only the money is real: budgets over one Valkey and one store, beaten and stored by hand."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from gateway.domain import Usage
from gateway.quotas.meter import NANO, Meter
from gateway.quotas.quotas import Claim, Quotas, Subject
from gateway.quotas.replicas import Fail, ReplicaCounts
from gateway.quotas.resp import ValkeyConnection
from gateway.quotas.scripts import Scripts, scripts
from gateway.settings.quotas import NO_LIMITS, Budget, Limits
from gateway.spending.book import SpendBook
from gateway.spending.keeping import Spending
from gateway.store.base import Store

GROWN = scripts(young_ms=0)
"""Scripts that decide from the first moment on."""
BY_KEY = scripts("{redis.call('GET', 'clock'), 0}", young_ms=0)
"""Scripts whose clock is a key in Valkey."""
DAY = Budget(usd=1.0, per="day")


class MoneyGateway:
    """A gateway with the key ``team`` and the task ``sums``; ``spent_usd`` is all that it has paid."""

    def __init__(
        self,
        url: str,
        name: str,
        store: Store,
        *,
        fail: Fail = "closed",
        budget: Budget | None = DAY,
        task: Budget | None = None,
        texts: Scripts = GROWN,
    ) -> None:
        self.store = store
        self.replicas = ReplicaCounts(url, name, fail, answer_s=5.0, texts=texts)
        self.link = self.replicas._link
        self.quotas = Quotas(lambda: 100.0, self.replicas.now)
        self.link.meters = lambda: self.quotas.meters
        self.book, self.spent_usd = SpendBook(), 0.0
        self.spending = Spending(self.book, self.quotas, self.replicas)
        self.configure(budget, task)

    def configure(self, budget: Budget | None, task: Budget | None = None) -> None:
        subjects: dict[Subject, tuple[Limits, Budget | None]] = {("key", "team"): (NO_LIMITS, budget)}
        subjects["task", "sums"] = (NO_LIMITS, task)
        self.quotas.configure({subject: given for subject, given in subjects.items() if given[1] is not None})

    @property
    def key(self) -> Meter:
        return self.quotas.of("team", None)[0]

    async def beat(self) -> None:
        await self.link.beat()

    async def step(self) -> None:
        await self.spending.step(self.store, self.replicas.now())

    async def claim(self, usd: float) -> Claim:
        claim = self.quotas.claim(self.quotas.of("team", "sums"), cost_usd=usd, refuse_money=False)
        await claim.confirm(self.replicas)
        return claim

    def settle(self, claim: Claim, usd: float) -> None:
        at = self.replicas.now()
        claim.settle(0, usd, at)
        self.book.add(at, ("team", "sums", "weak", "small"), Usage(), usd)
        self.spent_usd += usd

    async def spend(self, usd: float) -> None:
        self.settle(await self.claim(usd), usd)


@contextlib.asynccontextmanager
async def begun(*gateways: MoneyGateway) -> AsyncIterator[None]:
    """Let gateways read the store and begin with Valkey; at the end they leave."""
    try:
        for gateway in gateways:
            await gateway.step()
            await gateway.beat()
        yield
    finally:
        for gateway in gateways:
            await gateway.link.leave()


async def ask(url: str, *words: str | int) -> Any:
    """The answer of Valkey to a command."""
    connection = ValkeyConnection(url)
    try:
        await connection.connect()
        return await connection.send(*words)
    finally:
        await connection.aclose()


async def fields(url: str, key: str) -> dict[str, int]:
    answer = await ask(url, "HGETALL", key)
    return {name.decode(): int(value) for name, value in zip(answer[::2], answer[1::2], strict=True)}


async def used(url: str, subject: str = "key:team", period: int | str = "*") -> tuple[float, float]:
    """US dollars spent and held of a subject, in its only period or in the given one."""
    accounts = await ask(url, "KEYS", f"preceptor:{subject}:money:{period}")
    assert len(accounts) <= 1
    spent = await fields(url, accounts[0].decode()) if accounts else {}
    held = await fields(url, f"preceptor:{subject}:held")
    assert spent.get("total", 0) == sum(nano for name, nano in spent.items() if name[:2] in ("v:", "l:"))
    return round(spent.get("total", 0) / NANO, 9), round(sum(held.values()) / NANO, 9)
