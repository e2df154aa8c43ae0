"""Three gateways on one Postgres: rules and feedback are everybody's, and no request waits for the database."""

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.domain import Activation, Rule, RuleSet
from gateway.store.sql import SqlStore
from optimizer.demo.loopback import loopback_server
from tests.drills.test_recorder_kills import model
from tests.fakes import asked
from tests.hosts import clients_of, config, running
from tests.postgres import PostgresServer
from tests.proxy import Proxy
from tests.test_store_postgres import through

log = logging.getLogger(__name__)

LIMIT_S = 120
HOSTS = 3

pytestmark = pytest.mark.drill


@contextlib.asynccontextmanager
async def hosts(folder: Path, store: str) -> AsyncIterator[list[httpx.AsyncClient]]:
    """Yield a client of each gateway."""
    async with (
        loopback_server(model) as upstream,
        running(folder, config(upstream, store), HOSTS) as made,
        clients_of(made) as clients,
    ):
        yield clients


async def until(answer: Any, wanted: Any) -> float:
    """Ask until the answer is the wanted one; return the seconds."""
    began = time.perf_counter()
    async with asyncio.timeout(LIMIT_S):
        while await answer() != wanted:
            await asyncio.sleep(0.01)
    return time.perf_counter() - began


async def test_rules_and_feedback_are_everybody_s(tmp_path: Path, address: str) -> None:
    """A version activated elsewhere is in effect at every gateway, and an exchange of one is judged at the others."""
    async with hosts(tmp_path, address) as clients:
        with contextlib.closing(await asyncio.to_thread(SqlStore.open, tmp_path, address)) as store:
            for version in range(1, 6):
                rules = RuleSet(task="arithmetic", rules=(Rule(text=f"Rule {version}."),))
                await asyncio.to_thread(store.publish, rules)
                entry = Activation(task="arithmetic", version=version, created=1.0, by="test")
                await asyncio.to_thread(store.activate, entry)

                async def versions() -> set[str]:
                    replies = [await client.post("/v1/chat/completions", json=asked()) for client in clients]
                    return {reply.headers["x-preceptor-rules"] for reply in replies}

                log.info("version %d everywhere after %.3f s", version, await until(versions, {str(version)}))
        for client in clients:
            id_ = (await client.post("/v1/chat/completions", json=asked())).json()["id"]
            for other in clients:

                async def judged(other: httpx.AsyncClient = other, id_: str = id_) -> int:
                    return (await other.post("/v1/feedback", json={"id": id_, "correct": True})).status_code

                log.info("judged after %.3f s", await until(judged, 200))


@pytest.mark.parametrize("how", ["refuse", "stall"])
async def test_no_request_waits_for_a_database_that_is_away(
    tmp_path: Path, address: str, postgres: PostgresServer, how: Any
) -> None:
    """Refusing or silent for ten seconds: every request is answered, and all are stored afterwards."""
    counts: Counter[int] = Counter()
    slowest: dict[str, float] = {}
    with Proxy(postgres.socket).running() as proxy:
        async with hosts(tmp_path, through(proxy, address)) as clients:

            async def use(seconds: float, when: str) -> None:
                ends, times = time.perf_counter() + seconds, list[float]()
                while time.perf_counter() < ends:
                    for client in clients:
                        began = time.perf_counter()
                        counts[(await client.post("/v1/chat/completions", json=asked())).status_code] += 1
                        times.append(time.perf_counter() - began)
                    await asyncio.sleep(0.02)
                slowest[when] = sorted(times)[int(len(times) * 0.99)]

            await use(3.0, "before")
            proxy.mode = how
            if how == "refuse":
                proxy.cut()
            await use(10.0, "away")
            proxy.mode = "pass"
            proxy.cut()
            await use(3.0, "after")
        with contextlib.closing(await asyncio.to_thread(SqlStore.open, tmp_path, address)) as store:

            async def stored() -> int:
                return (await asyncio.to_thread(store.counts))["arithmetic"].exchanges

            left = list(tmp_path.glob("*/spool*"))  # noqa: ASYNC240 - a moment
            log.info("%s: %s, p99 in s: %s, spools: %s", how, counts, slowest, left)
            assert set(counts) == {200}
            assert left or await stored() == counts[200]
