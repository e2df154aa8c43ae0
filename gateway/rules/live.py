"""Rules of the store, brought into effect."""

import logging

from gateway.routing.rule_snapshot import LiveRules
from gateway.store.base import Store

log = logging.getLogger(__name__)


def refresh(store: Store, live: LiveRules) -> None:
    """Swap the snapshot after a new activation. Blocks on the store; raises ``StoreError``."""
    revision = store.revision()
    if revision != live.current.revision:
        # Read after the revision: an activation in between is at worst read twice, never missed.
        live.swap(store.traffic_splits(), revision, injecting=store.injecting())
        log.info("rules swapped", extra={"action": "rules.swap", "revision": revision})
