"""Three gateways over one Postgres take thousands of swaps: no answer knows of two versions."""

import asyncio
import contextlib
import functools
import logging
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx

from gateway.domain import Activation
from gateway.store.postgres import WRITING
from gateway.store.sql import SqlStore
from optimizer.demo.loopback import loopback_server
from tests.drills.test_hot_swap import rule_set, said, versions
from tests.fakes import asked
from tests.hosts import clients_of, config, running
from tests.learning import answer_over_http
from tests.postgres import PostgresServer

log = logging.getLogger(__name__)

PATH = "/v1/chat/completions"
HOSTS = 3
LIMIT_S = 600
SWAPS = 10_000
VERSIONS = 50
"""They are swapped in turns; every third one answers in two passes."""


@contextlib.asynccontextmanager
async def stored_in(folder: Path, address: str) -> AsyncIterator[SqlStore]:
    with contextlib.closing(await asyncio.to_thread(SqlStore.open, folder, address)) as store:
        yield store


def swapping() -> str:
    """The swaps, each committed by itself and announced, by the database alone: nothing here takes time from others."""
    return f"""
    DO $$ BEGIN
      FOR number IN 0..{SWAPS - 1} LOOP
        PERFORM pg_advisory_xact_lock({WRITING});
        INSERT INTO activations (task, version, created, by, why)
        VALUES ('arithmetic', 1 + number % {VERSIONS}, number, 'test', '');
        COMMIT;
        PERFORM pg_sleep(0.001);
      END LOOP;
    END $$"""  # noqa: S608 - numbers of ours


def database_of(address: str) -> str:
    return address.partition("@/")[2].partition("?")[0]


async def test_ten_thousand_swaps_mix_nothing_on_three_gateways(
    tmp_path: Path, address: str, postgres: PostgresServer
) -> None:
    """Prompt, header and record of every answer name the same version, whole or streamed, in one pass or two."""
    answer = functools.partial(answer_over_http, script=versions)
    replies: list[tuple[str, str, str]] = []
    swapped = asyncio.Event()

    async def ask(client: httpx.AsyncClient, *, stream: bool) -> None:
        while not swapped.is_set():
            reply = await client.post(PATH, json=asked(stream=stream))
            assert reply.status_code == 200
            replies.append(
                (reply.headers["x-request-id"], reply.headers["x-preceptor-rules"], said(reply.text, stream))
            )

    async with (
        loopback_server(answer) as upstream,
        stored_in(tmp_path, address) as store,
    ):
        for version in range(1, VERSIONS + 1):
            await asyncio.to_thread(store.publish, rule_set(version))
        await asyncio.to_thread(store.activate, Activation(task="arithmetic", version=1, created=0.5, by="test"))
        async with running(tmp_path, config(upstream, address), HOSTS) as hosts, clients_of(hosts) as clients:
            asking = [asyncio.create_task(ask(client, stream=stream)) for client in clients for stream in (False, True)]
            began = time.perf_counter()
            await asyncio.to_thread(postgres.run, swapping(), database_of(address))
            took = time.perf_counter() - began
            last = str(1 + (SWAPS - 1) % VERSIONS)
            async with asyncio.timeout(LIMIT_S):
                for client in clients:
                    while (await client.post(PATH, json=asked())).headers["x-preceptor-rules"] != last:
                        await asyncio.sleep(0.01)
            follow = time.perf_counter() - began - took
            swapped.set()
            await asyncio.gather(*asking)
        records = {id_: await asyncio.to_thread(store.exchange, id_) for id_, _, _ in replies}
    different = {version for _, version, _ in replies}
    log.warning(
        "%d swaps in %.1f s, the last one everywhere %.2f s later; %d answers, of %d versions",
        SWAPS, took, follow, len(replies), len(different),
    )  # fmt: skip
    assert len(replies) > 100 and len(different) > VERSIONS / 2
    for id_, header, reply in replies:
        record = records[id_]
        assert record is not None and str(record.rules) == header
        assert set(re.findall(r"\w+ (\d+)", reply)) == {header}
