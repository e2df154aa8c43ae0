"""The watch over the store: an activation, by this process or another, takes effect within a second."""

import asyncio
import contextlib
import logging

from gateway.errors import StoreError
from gateway.routing.rule_snapshot import LiveRules
from gateway.store.base import Store

log = logging.getLogger(__name__)

INTERVAL_S = 0.5


def refresh(store: Store, live: LiveRules) -> None:
    """Swap the snapshot after a new activation. Blocks on the store; raises ``StoreError``."""
    revision = store.revision()
    if revision != live.current.revision:
        # Read after the revision: an activation in between is at worst read twice, never missed.
        live.swap(store.traffic_splits(), revision, injecting=store.injecting())
        log.info("rules swapped", extra={"action": "rules.swap", "revision": revision})


async def watch(
    store: Store, live: LiveRules, *, news: asyncio.Event | None = None, interval_s: float = INTERVAL_S
) -> None:
    """Refresh every ``interval_s`` seconds until cancelled, and at once when there is ``news``.

    While the store cannot be read, the live rules stay live.
    """
    news = news or asyncio.Event()
    down = False
    while True:
        try:
            await asyncio.to_thread(refresh, store, live)
            down = False
        except StoreError as error:
            if not down:
                log.warning("rules cannot be read: %s", error, extra={"action": "rules.watch"})
            down = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(interval_s):
                await news.wait()
        news.clear()
