"""Following the store: what others change is in effect here, and a store that fails changes nothing."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

import pytest

from gateway import issued_keys
from gateway.domain import Activation, Rule, RuleSet
from gateway.errors import StoreError
from gateway.following import Follower
from gateway.issued_keys import IssuedKey
from gateway.routing.rule_snapshot import LiveRules
from gateway.settings.keys import digest
from gateway.store.memory import MemoryStore

NEW = IssuedKey(hash=digest("secret"), made=1.0)


class FlakyStore(MemoryStore):
    """Raises ``StoreError`` while it is ``down``; ``looks`` counts the looks, ``readings`` those that read rules."""

    def __init__(self) -> None:
        super().__init__()
        self.down = False
        self.looks = 0
        self.readings = 0

    def glance(self, note: str) -> tuple[int, bytes | None]:
        self.looks += 1
        if self.down:
            raise StoreError("the database is locked")
        return super().glance(note)

    def revision(self) -> int:
        self.readings += 1
        return super().revision()


class Followed:
    """A follower of a store with two versions of a task; ``taken`` are the keys it took."""

    def __init__(self) -> None:
        self.store, self.live = FlakyStore(), LiveRules()
        self.taken: list[Mapping[str, IssuedKey]] = []
        for text in ("Work in steps.", "Check the sum."):
            self.store.publish(RuleSet(task="sums", rules=(Rule(text=text),)))
        self.follower = Follower(self.store, self.live, self.taken.append)

    def activate(self, version: int) -> None:
        self.store.activate(Activation(task="sums", version=version, created=0.0, by="test"))

    @property
    def version(self) -> int | None:
        split = self.live.current.splits.get("sums")
        return None if split is None or split.live is None else split.live.rule_set.version

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.follower.run(interval_s=0.001))
        try:
            yield
            assert not task.done()
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def looked_again(self, times: int = 2) -> None:
        """Wait for so many looks from now on."""
        wanted = self.store.looks + times
        while self.store.looks < wanted:
            await asyncio.sleep(0)


@pytest.fixture
def followed() -> Followed:
    return Followed()


async def test_the_start_takes_rules_and_keys(followed: Followed) -> None:
    """Both, before the first request."""
    followed.activate(1)
    issued_keys.issue(followed.store, "team", NEW, {})
    await followed.follower.start()
    assert (followed.version, followed.taken) == (1, [{"team": NEW}])


async def test_without_its_keys_nothing_starts(followed: Followed) -> None:
    """A gateway without them would be open to everybody."""
    followed.store.put_note(issued_keys.NOTE, b"not JSON")
    with pytest.raises(StoreError, match="keys in the store"):
        await followed.follower.start()


async def test_a_look_at_an_unchanged_store_reads_nothing_more(followed: Followed) -> None:
    """One statement; rules and keys are read after a change only."""
    followed.activate(1)
    await followed.follower.start()
    before = followed.store.readings
    for _ in range(5):
        await followed.follower.look()
    looks = followed.store.looks
    assert (looks, len(followed.taken)) == (5, 1)
    assert followed.store.readings == before + looks, "the store in memory asks for its revision in each look"


async def test_a_change_is_taken_at_the_next_look(followed: Followed) -> None:
    """Of rules and of keys."""
    await followed.follower.start()
    followed.activate(2)
    issued_keys.issue(followed.store, "team", NEW, {})
    await followed.follower.look()
    assert (followed.version, followed.taken) == (2, [{}, {"team": NEW}])


async def test_keys_that_cannot_be_read_leave_the_last_ones(
    followed: Followed, caplog: pytest.LogCaptureFixture
) -> None:
    """Said once; rules are followed all the same."""
    await followed.follower.start()
    followed.store.put_note(issued_keys.NOTE, b"not JSON")
    followed.activate(1)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            await followed.follower.look()
    assert (followed.version, followed.taken, len(caplog.records)) == (1, [{}], 1)
    followed.store.put_note(issued_keys.NOTE, b"{}")
    await followed.follower.look()
    assert followed.taken == [{}, {}]


async def test_following_survives_a_store_that_fails(followed: Followed, caplog: pytest.LogCaptureFixture) -> None:
    """Rules stay through an outage, which is said once, and the newest are in effect when it is over."""
    with caplog.at_level(logging.WARNING, logger="gateway.following"):
        async with followed.running():
            followed.activate(1)
            await followed.looked_again()
            assert followed.version == 1
            followed.store.down = True
            followed.activate(2)
            await followed.looked_again(times=5)
            assert (followed.version, len(caplog.records)) == (1, 1)
            followed.store.down = False
            await followed.looked_again()
            assert followed.version == 2
            followed.store.down = True
            await followed.looked_again()
    assert len(caplog.records) == 2
