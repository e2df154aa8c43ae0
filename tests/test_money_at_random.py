"""Random days of three gateways over one Valkey and one store: kills, lost connections, an empty Valkey, midnights."""

import random

import pytest

from gateway.domain import Usage
from gateway.errors import Overloaded, RateLimited
from gateway.quotas.meter import NANO
from gateway.quotas.periods import period_at
from gateway.quotas.quotas import Claim
from gateway.settings.quotas import Budget
from gateway.spending.book import LEARNING, SpendBook, store_days
from gateway.store.memory import MemoryStore
from tests.counted_money import BY_KEY, MoneyGateway, ask, fields
from tests.valkey import valkey

START = 1_798_800_000
DAY_S = 86_400
STEPS = 400
BUDGET = Budget(usd=1.0, per="day")


class World:
    """The gateways, and the truth about their money in nano dollars."""

    def __init__(self, url: str, seed: int) -> None:
        self.url, self.dice, self.store = url, random.Random(seed), MemoryStore()
        self.now, self.made = START, 0
        self.gateways: list[MoneyGateway] = []
        self.claims: list[tuple[MoneyGateway, Claim, int]] = []
        self.paid: dict[tuple[str, int], int] = {}
        """By writer and day; ``book`` holds what is in the store."""
        self.book: dict[tuple[str, int], int] = {}
        self.lost: dict[int, int] = {}
        """Reserved by killed gateways: by day once noticed, under 0 before."""
        self.admitted = self.refused = 0

    @property
    def day(self) -> int:
        return period_at(self.now, "day")

    def name(self, gateway: MoneyGateway) -> str:
        return gateway.replicas.payments.writer

    def truth(self) -> int:
        """Money spent today, reserved, and given up."""
        spent = sum(nano for (_, day), nano in self.paid.items() if day == self.day)
        reserved = sum(cost for _, _, cost in self.claims)
        return spent + reserved + self.lost.get(self.day, 0) + self.lost.get(0, 0)

    async def begin(self) -> None:
        self.made += 1
        gateway = MoneyGateway(self.url, f"g{self.made}", self.store, budget=BUDGET, task=BUDGET, texts=BY_KEY)
        self.gateways.append(gateway)
        await gateway.beat()
        await self.stored(gateway)
        await gateway.beat()

    async def stored(self, gateway: MoneyGateway) -> None:
        await gateway.step()
        name = self.name(gateway)
        self.book |= {place: nano for place, nano in self.paid.items() if place[0] == name}

    async def claim(self) -> None:
        gateway, cost = self.dice.choice(self.gateways), self.dice.randrange(1, 150) * 10**6
        try:
            claim = await gateway.claim(cost / NANO)
        except RateLimited:
            self.refused += 1
            return
        except Overloaded:
            return
        self.claims.append((gateway, claim, cost))
        self.admitted += 1
        assert self.truth() <= NANO, "more than the budget"

    async def settle(self) -> None:
        if not self.claims:
            return
        gateway, claim, cost = self.claims.pop(self.dice.randrange(len(self.claims)))
        true = self.dice.randrange(0, cost + 1, 10**6)
        gateway.settle(claim, true / NANO)
        place = self.name(gateway), self.day
        self.paid[place] = self.paid.get(place, 0) + true

    async def beat(self) -> None:
        await self.dice.choice(self.gateways).beat()

    async def store_one(self) -> None:
        await self.stored(self.dice.choice(self.gateways))

    async def cut(self) -> None:
        await self.dice.choice(self.gateways).link.leave()

    async def mistaken(self) -> None:
        """Take a living gateway for lost."""
        await ask(self.url, "DEL", f"preceptor:alive:{self.name(self.dice.choice(self.gateways))}")

    async def kill(self) -> None:
        gateway = self.gateways.pop(self.dice.randrange(len(self.gateways)))
        await gateway.beat()  # else what it had reserved counts for what it has paid since it was cut off
        await gateway.link.leave()
        await ask(self.url, "DEL", f"preceptor:alive:{self.name(gateway)}")
        self.lost[0] = self.lost.get(0, 0) + sum(cost for owner, _, cost in self.claims if owner is gateway)
        self.claims = [each for each in self.claims if each[0] is not gateway]
        await self.begin()

    async def notice(self) -> None:
        """A request looks who is lost: from now on it counts as spent today."""
        for gateway in self.gateways:
            await gateway.beat()
        quotas, replicas = self.gateways[0].quotas, self.gateways[0].replicas
        for meter in quotas.meters:
            with pytest.raises((RateLimited, Overloaded)):
                await quotas.claim([meter], cost_usd=1.01, refuse_money=False).confirm(replicas)
        self.lost[self.day] = self.lost.get(self.day, 0) + self.lost.pop(0, 0)

    async def empty(self) -> None:
        """Valkey forgets all; the killed gateways' last second is lost with it, and what they had reserved."""
        await ask(self.url, "FLUSHALL")
        await ask(self.url, "SET", "clock", self.now)
        living = {self.name(gateway) for gateway in self.gateways}
        self.lost = {}
        self.paid = {place: nano for place, nano in self.paid.items() if place[0] in living} | {
            place: nano for place, nano in self.book.items() if place[0] not in living
        }
        for gateway in self.gateways:
            await gateway.beat()

    async def midnight(self) -> None:
        await self.notice()
        self.now += DAY_S
        await ask(self.url, "SET", "clock", self.now)
        for gateway in self.gateways:
            await gateway.beat()

    async def learn(self) -> None:
        """Learning pays a little, and everybody reads of it."""
        cost = self.dice.randrange(1, 20) * 10**6
        if self.truth() + cost > NANO:
            return
        book = SpendBook()
        book.add(self.now, ("team", "sums", LEARNING, "large"), Usage(), cost / NANO)
        store_days(self.store, book.take())
        place = "learning", self.day
        self.paid[place] = self.book[place] = self.paid.get(place, 0) + cost
        for gateway in self.gateways:
            await self.stored(gateway)
            await gateway.beat()

    async def check(self) -> None:
        """With everybody there, Valkey knows the truth, neither more nor less."""
        await self.notice()
        for gateway in self.gateways:
            await self.stored(gateway)
            await gateway.beat()
        for subject in ("key:team", "task:sums"):
            account = await fields(self.url, f"preceptor:{subject}:money:{self.day}")
            held = await fields(self.url, f"preceptor:{subject}:held")
            assert account.get("total", 0) + sum(held.values()) == self.truth()
            assert sum(held.values()) == sum(cost for _, _, cost in self.claims)


@pytest.mark.parametrize("seed", range(5))
async def test_valkey_knows_the_truth_after_any_day(seed: int) -> None:
    """No request is let in beyond the budget; nothing is forgotten, nothing counted twice."""
    async with valkey() as (url, _):
        await ask(url, "SET", "clock", START)
        world = World(url, seed)
        for _ in range(3):
            await world.begin()
        common = [world.claim] * 8 + [world.settle] * 7 + [world.beat] * 4 + [world.store_one] * 2
        seldom = [world.cut, world.mistaken, world.kill, world.empty, world.learn, world.check]
        for _ in range(STEPS):
            await world.dice.choice(common * 4 + seldom * 2 + [world.midnight])()
        while world.claims:
            await world.settle()
        await world.check()
        for gateway in world.gateways:
            await gateway.link.leave()
    assert world.admitted > 20
