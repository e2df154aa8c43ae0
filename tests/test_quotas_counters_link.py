"""Money over gateways, counted in a real Valkey: never more than the budget, nothing forgotten, nothing twice."""

import asyncio
import contextlib
import random
import signal

import pytest

from gateway.domain import Usage
from gateway.errors import Overloaded, RateLimited
from gateway.quotas.quotas import Claim
from gateway.quotas.replicas import Fail
from gateway.quotas.scripts import YOUNG_MS, scripts
from gateway.settings.quotas import Budget
from gateway.spending.book import LEARNING, SpendBook, store_days
from gateway.store.memory import MemoryStore
from tests.counted_money import BY_KEY, DAY, MoneyGateway, ask, begun, used
from tests.fakes import free_port
from tests.valkey import valkey

MIDNIGHT = 1_798_848_000
"""The beginning of the 2nd of January 2027."""


async def test_gateways_together_never_spend_more_than_the_budget() -> None:
    """Estimates are reserved at once for all: at no moment do money spent and money reserved exceed it."""
    dice = random.Random(7)
    async with valkey() as (url, _):
        store = MemoryStore()
        gateways = [MoneyGateway(url, f"g{number}", store) for number in range(3)]
        reserved, most, refused = 0.0, 0.0, 0

        async def client(number: int) -> None:
            nonlocal reserved, most, refused
            gateway = gateways[number % 3]
            for _ in range(3):
                try:
                    claim = await gateway.claim(0.013)
                except RateLimited:
                    refused += 1
                    continue
                reserved += 0.013
                most = max(most, reserved + sum(each.spent_usd for each in gateways))
                await asyncio.sleep(dice.random() / 100)
                reserved -= 0.013
                gateway.settle(claim, dice.randrange(1, 14) / 1000)
                if dice.random() < 0.1:
                    await gateway.step()
                    await gateway.beat()

        async with begun(*gateways):
            await asyncio.gather(*map(client, range(200)))
            with pytest.raises(RateLimited):
                while True:
                    await gateways[1].spend(0.001)
            assert await used(url) == (1.0, 0.0)
        assert round(sum(gateway.spent_usd for gateway in gateways), 9) == 1.0
    assert most <= 1.0 + 1e-9 and refused > 0


async def test_a_request_is_reserved_under_its_key_and_its_task_or_under_none() -> None:
    """A refused request holds nothing; the error says what is left."""
    async with valkey() as (url, _):
        gateway = MoneyGateway(url, "a", MemoryStore(), task=Budget(usd=0.5, per="month"))
        async with begun(gateway):
            await gateway.spend(0.3)
            errors = [await refused(gateway, 0.3) for _ in range(3)]
            assert await used(url) == await used(url, "task:sums") == (0.3, 0.0)
            assert (gateway.key.reserved, gateway.key.in_flight) == (0, 0)
    for error in errors:
        assert isinstance(error, RateLimited) and "task 'sums' is used up: of $0.5 a month, $0.200000" in error.message
        assert error.code == "insufficient_quota" and error.headers["x-should-retry"] == "false"


async def test_an_empty_valkey_is_told_of_everything_once() -> None:
    """Of the store's book, of what no book knows yet, and of what is reserved."""
    port, store = free_port(), MemoryStore()
    url = f"valkey://127.0.0.1:{port}/0"
    gone, one, two = (MoneyGateway(url, name, store) for name in ("gone", "one", "two"))
    async with contextlib.AsyncExitStack() as stack:
        async with valkey(port):
            await stack.enter_async_context(begun(gone, one, two))
            await gone.spend(0.1)
            await gone.step()
            await gone.link.leave()
            await one.spend(0.2)
            await one.step()
            await one.spend(0.05)  # no book knows of it
            held = await two.claim(0.15)
            await two.step()
        async with valkey(port):
            for gateway in (one, two):
                await gateway.beat()  # the connection was lost
                await gateway.beat()
            assert await used(url) == (0.35, 0.15)
            two.settle(held, 0.15)
            with pytest.raises(RateLimited):
                await one.claim(0.51)
            await one.spend(0.5)
            assert await used(url) == (1.0, 0.0)


async def test_two_gateways_that_tell_the_book_at_once_change_nothing() -> None:
    """Nor does telling again and again."""
    store = MemoryStore()
    async with valkey() as (url, _):
        for name in ("past", "older"):
            gateway = MoneyGateway(url, name, store)
            async with begun(gateway):
                await gateway.spend(0.2)
                await gateway.step()
        await ask(url, "FLUSHALL")
        gateways = [MoneyGateway(url, f"g{number}", store) for number in range(4)]
        await asyncio.gather(*(gateway.step() for gateway in gateways))
        await asyncio.gather(*(gateway.beat() for gateway in gateways))
        claims = await asyncio.gather(*(gateway.claim(0.2) for gateway in gateways), return_exceptions=True)
        assert sum(isinstance(claim, Claim) for claim in claims) == 3
        await asyncio.gather(*(gateway.beat() for gateway in gateways))
        assert await used(url) == (0.4, 0.6)
        for gateway in gateways:
            await gateway.link.leave()


@pytest.mark.parametrize("fail", ["open", "closed"])
async def test_a_young_valkey_decides_about_no_money(fail: Fail) -> None:
    """Every gateway tells its own first; the policy decides until then."""
    async with valkey() as (url, _):
        gateway = MoneyGateway(url, "a", MemoryStore(), fail=fail, texts=scripts(young_ms=YOUNG_MS))
        async with begun(gateway):
            if fail == "closed":
                with pytest.raises(Overloaded):
                    await gateway.claim(0.1)
                assert await used(url) == (0.0, 0.0)
            else:
                claim = await gateway.claim(0.1)
                assert await used(url) == (0.0, 0.1)
                with pytest.raises(RateLimited):
                    await gateway.claim(0.91)
                gateway.settle(claim, 0.1)
                assert await used(url) == (0.1, 0.0)
            assert not gateway.replicas.away
            async with asyncio.timeout(20):
                while not isinstance(await refused(gateway), RateLimited):
                    await asyncio.sleep(0.1)


async def refused(gateway: MoneyGateway, usd: float = 1.01) -> Exception | None:
    try:
        await gateway.claim(usd)
    except (Overloaded, RateLimited) as error:
        return error
    return None


async def test_money_spent_without_valkey_is_added_when_it_is_back() -> None:
    """With ``open``, each gateway's own look at the book decides meanwhile."""
    port, store = free_port(), MemoryStore()
    url = f"valkey://127.0.0.1:{port}/0"
    one, two = (MoneyGateway(url, name, store, fail="open") for name in ("one", "two"))
    async with begun(one, two):
        await one.spend(0.2)
        await two.spend(0.3)
        held = await two.claim(0.1)
        with pytest.raises(RateLimited):
            await one.claim(0.81)
        async with valkey(port):
            await one.beat()
            await two.beat()
            assert await used(url) == (0.5, 0.1)
            two.settle(held, 0.05)
            with pytest.raises(RateLimited):
                await one.claim(0.46)
            await one.spend(0.45)
            assert await used(url) == (1.0, 0.0)


async def test_without_valkey_closed_spends_nothing() -> None:
    """A request under way is settled all the same, and told of later."""
    port, store = free_port(), MemoryStore()
    url = f"valkey://127.0.0.1:{port}/0"
    gateway = MoneyGateway(url, "a", store)
    async with contextlib.AsyncExitStack() as stack:
        async with valkey(port):
            await stack.enter_async_context(begun(gateway))
            claim = await gateway.claim(0.4)
        await gateway.beat()
        with pytest.raises(Overloaded):
            await gateway.claim(0.1)
        gateway.settle(claim, 0.3)
        async with valkey(port):
            await gateway.beat()
            assert await used(url) == (0.3, 0.0)


async def test_the_reserved_money_of_a_lost_gateway_counts_as_spent() -> None:
    """Five seconds after its last sign of life; a gateway that was only slow gets it back."""
    async with valkey() as (url, _):
        slow, alive = (MoneyGateway(url, name, MemoryStore()) for name in ("slow", "alive"))
        async with begun(slow, alive):
            claim = await slow.claim(0.4)
            async with asyncio.timeout(20):
                while (await used(url))[1]:
                    await alive.beat()
                    await refused(alive)
                    await asyncio.sleep(0.2)
            assert await used(url) == (0.4, 0.0)
            with pytest.raises(RateLimited):
                await alive.claim(0.61)
            with pytest.raises(Overloaded):
                await slow.claim(0.01)
            await slow.beat()
            assert await used(url) == (0.0, 0.4)
            slow.settle(claim, 0.1)
            assert await used(url) == (0.1, 0.0)


async def test_a_lost_gateway_that_has_settled_meanwhile_leaves_nothing() -> None:
    """Its request cost nothing: nothing is reserved, and nothing given up."""
    async with valkey() as (url, _):
        slow, alive = (MoneyGateway(url, name, MemoryStore()) for name in ("slow", "alive"))
        async with begun(slow, alive):
            claim = await slow.claim(0.4)
            await ask(url, "DEL", "preceptor:alive:slow")
            assert isinstance(await refused(alive), RateLimited)
            assert await used(url) == (0.4, 0.0)
            slow.settle(claim, 0.0)
            await slow.beat()
            assert await used(url) == (0.0, 0.0)


async def test_valkey_without_our_scripts_gets_them_again() -> None:
    """Somebody has flushed them: the policy decides until the next beat."""
    async with valkey() as (url, _):
        gateway = MoneyGateway(url, "a", MemoryStore())
        async with begun(gateway):
            await gateway.spend(0.1)
            await ask(url, "SCRIPT", "FLUSH")
            with pytest.raises(Overloaded):
                await gateway.claim(0.1)
            await gateway.beat()
            await gateway.spend(0.1)
            assert await used(url) == (0.2, 0.0)


async def test_a_late_command_pays_and_reserves_nothing() -> None:
    """It names the connection that sent it; a payment is never too late."""
    async with valkey() as (url, _):
        gateway = MoneyGateway(url, "a", MemoryStore())
        async with begun(gateway):
            claim = await gateway.claim(0.4)
            await gateway.link.leave()
            await gateway.beat()
            gateway.link._generation -= 1
            gateway.settle(claim, 0.3)
            with pytest.raises(Overloaded):
                await gateway.claim(0.1)
            assert await used(url) == (0.3, 0.4)
            gateway.link._generation += 1
            await gateway.beat()
            assert await used(url) == (0.3, 0.0)


async def test_a_period_ends_by_valkey_s_clock() -> None:
    """The new day begins with nothing spent; what is reserved across midnight is the new day's."""
    async with valkey() as (url, _):
        await ask(url, "SET", "clock", MIDNIGHT - 60)
        month = Budget(usd=5.0, per="month")
        one, two = (MoneyGateway(url, name, MemoryStore(), task=month, texts=BY_KEY) for name in ("one", "two"))
        async with begun(one, two):
            await one.spend(0.8)
            claim = await one.claim(0.2)
            with pytest.raises(RateLimited) as caught:
                await two.claim(0.1)
            assert 55 < int(caught.value.headers["retry-after"]) <= 60
            await ask(url, "SET", "clock", MIDNIGHT + 1)
            await two.beat()
            with pytest.raises(RateLimited):
                await two.claim(0.81)
            await two.spend(0.5)
            await one.beat()
            one.settle(claim, 0.2)
            assert await used(url, period=20270101) == (0.8, 0.0)
            assert await used(url, period=20270102) == (0.7, 0.0)
            assert await used(url, "task:sums") == (1.5, 0.0)


async def test_learning_and_gateways_without_counters_count_by_the_book() -> None:
    """Learning under its task only; each with the next look at the store."""
    store = MemoryStore()
    async with valkey() as (url, _):
        gateway = MoneyGateway(url, "a", store, task=DAY)
        async with begun(gateway):
            await gateway.spend(0.1)
            book = SpendBook()
            book.add(gateway.replicas.now(), ("", "sums", LEARNING, "large"), Usage(), 0.3, 0.0)
            book.add(gateway.replicas.now(), ("team", "sums", "weak", "small"), Usage(), 0.2)
            store_days(store, book.take())
            for _ in range(2):
                await gateway.step()
                await gateway.beat()
                assert await used(url) == (0.3, 0.0) and await used(url, "task:sums") == (0.6, 0.0)
            with pytest.raises(RateLimited, match="task 'sums'"):
                await gateway.claim(0.41)


async def test_a_changed_budget_takes_effect_at_once() -> None:
    """Its amount, its period and what follows; money spent before the change counts."""
    async with valkey() as (url, _):
        gateway = MoneyGateway(url, "a", MemoryStore())
        async with begun(gateway):
            await gateway.spend(0.6)
            gateway.configure(Budget(usd=0.7, per="day"))
            with pytest.raises(RateLimited):
                await gateway.claim(0.11)
            gateway.configure(Budget(usd=0.7, per="day", then="warn"))
            await gateway.spend(0.2)
            gateway.configure(Budget(usd=2.0, per="month"))
            with pytest.raises(Overloaded):
                await gateway.claim(0.1)  # its book is not read yet
            await gateway.step()
            with pytest.raises(RateLimited):
                await gateway.claim(1.21)
            await gateway.spend(1.2)


async def test_a_request_that_nobody_waits_for_holds_nothing() -> None:
    """Its answer comes later, and is given back."""
    async with valkey() as (url, process):
        gateway = MoneyGateway(url, "a", MemoryStore())
        async with begun(gateway):
            await gateway.spend(0.1)
            process.send_signal(signal.SIGSTOP)
            asking = asyncio.create_task(gateway.claim(0.5))
            await asyncio.sleep(0)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            process.send_signal(signal.SIGCONT)
            await gateway.beat()
            await gateway.spend(0.9)
            assert await used(url) == (1.0, 0.0) and gateway.key.reserved == 0


async def test_an_error_in_the_reservations_does_not_last() -> None:
    """The next beat without an answer awaited sets them right."""
    async with valkey() as (url, _):
        gateway = MoneyGateway(url, "a", MemoryStore())
        async with begun(gateway):
            claim = await gateway.claim(0.2)
            await ask(url, "HINCRBY", "preceptor:key:team:held", "a", 7)
            await gateway.beat()
            assert await used(url) == (0.0, 0.2) and gateway.link.asking == 0
            gateway.settle(claim, 0.1)
            assert await used(url) == (0.1, 0.0)


async def test_commands_of_an_earlier_connection_change_no_reservation() -> None:
    """A Valkey that stood still may read them after those of the new one."""
    async with valkey() as (url, process):
        gateway = MoneyGateway(url, "a", MemoryStore())
        async with begun(gateway):
            claim = await gateway.claim(0.4)
            process.send_signal(signal.SIGSTOP)
            gateway.settle(claim, 0.3)
            asking = asyncio.create_task(gateway.claim(0.2))
            await asyncio.sleep(0)
            await gateway.link.leave()
            with pytest.raises(Overloaded):
                await asking
            process.send_signal(signal.SIGCONT)
            await gateway.beat()
            assert await used(url) == (0.3, 0.0)
            for _ in range(2):
                await gateway.spend(0.3)
                await gateway.beat()
            assert await used(url) == (0.9, 0.0)
