"""Following the store: rules and keys that this process or another changed take effect within a second."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping

from gateway import issued_keys
from gateway.errors import StoreError
from gateway.issued_keys import IssuedKey
from gateway.routing.rule_snapshot import LiveRules
from gateway.rules.live import refresh
from gateway.store.base import Store

log = logging.getLogger(__name__)

INTERVAL_S = 0.5


class Follower:
    """Takes rules and keys from the store. ``take_keys`` puts all keys of the store into effect."""

    def __init__(self, store: Store, live: LiveRules, take_keys: Callable[[Mapping[str, IssuedKey]], None]) -> None:
        self._store, self._live, self._take_keys = store, live, take_keys
        self._keys: bytes | None = None
        """The keys as they were stored at the last look."""

    async def start(self) -> None:
        """Take what is there. Raises ``StoreError``: without its keys, a gateway would be open to everybody."""
        await asyncio.to_thread(refresh, self._store, self._live)
        self._keys = await asyncio.to_thread(self._store.note, issued_keys.NOTE)
        self._take_keys(issued_keys.decoded(self._keys))

    async def look(self) -> None:
        """Take what has changed. Raises ``StoreError`` if the store cannot be read; all stays as it was."""
        revision, keys = await asyncio.to_thread(self._store.glance, issued_keys.NOTE)
        if keys != self._keys:
            self._keys = keys
            self._take_changed(keys)
        if revision != self._live.current.revision:
            await asyncio.to_thread(refresh, self._store, self._live)

    def _take_changed(self, keys: bytes | None) -> None:
        try:
            issued = issued_keys.decoded(keys)
        except StoreError as error:
            log.warning("keys cannot be read: %s", error, extra={"action": "keys.watch"})
            return
        self._take_keys(issued)
        log.info("keys changed", extra={"action": "keys.taken", "keys": len(issued)})

    async def run(self, *, news: asyncio.Event | None = None, interval_s: float = INTERVAL_S) -> None:
        """Look every ``interval_s`` seconds until cancelled, and at once when there is ``news``.

        While the store cannot be read, the last rules and keys stay.
        """
        news = news or asyncio.Event()
        down = False
        while True:
            try:
                await self.look()
                down = False
            except StoreError as error:
                if not down:
                    log.warning("rules and keys cannot be read: %s", error, extra={"action": "rules.watch"})
                down = True
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(interval_s):
                    await news.wait()
            news.clear()
