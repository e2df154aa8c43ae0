"""News of decisions about rule sets, from Postgres to every gateway at once. With a real server."""

import contextlib
import queue
from pathlib import Path

from gateway.domain import Activation, RuleSet
from gateway.store.listener import listening
from gateway.store.sql import SqlStore
from tests.postgres import PostgresServer
from tests.proxy import Proxy
from tests.test_store_postgres import through

LIMIT_S = 60


def decide(store: SqlStore) -> None:
    version = store.publish(RuleSet(task="sums")).version
    store.activate(Activation(task="sums", version=version, created=1.0, by="test"))


def test_a_decision_is_heard_at_once(address: str) -> None:
    """And each listener hears once at its start: something may have been decided before."""
    heard: queue.Queue[int] = queue.Queue()
    with (
        contextlib.closing(SqlStore.open(Path(), address)) as store,
        listening(address, lambda: heard.put(1)),
        listening(address, lambda: heard.put(2)),
    ):
        assert {heard.get(timeout=LIMIT_S), heard.get(timeout=LIMIT_S)} == {1, 2}
        decide(store)
        assert {heard.get(timeout=LIMIT_S), heard.get(timeout=LIMIT_S)} == {1, 2}


def test_a_lost_connection_is_made_anew(address: str, postgres: PostgresServer) -> None:
    """What was decided meanwhile is found: listening begins with a look."""
    heard: queue.Queue[int] = queue.Queue()
    with (
        Proxy(postgres.socket).running() as proxy,
        listening(through(proxy, address), lambda: heard.put(1), pause_s=0.01),
        contextlib.closing(SqlStore.open(Path(), address)) as store,
    ):
        heard.get(timeout=LIMIT_S)
        proxy.cut()
        heard.get(timeout=LIMIT_S)
        decide(store)
        heard.get(timeout=LIMIT_S)
