"""Three gateways over one Postgres are restarted in turn, under load: no request is refused."""

import asyncio
import itertools
import json
import logging
from collections import Counter
from pathlib import Path

import httpx

from optimizer.demo.loopback import loopback_server
from tests.drills.test_fleet_swaps import stored_in
from tests.fakes import asked, completion, events, loopback_client, read_request
from tests.hosts import Host, clients_of, config, running

log = logging.getLogger(__name__)

PATH = "/v1/chat/completions"
HOSTS = 3
LIMIT_S = 600
LAME_DUCK_S = 5.0
"""The default."""
CLIENTS = 4
"""Of each kind: those that connect anew for every request, those that keep connections, those that read streams."""


class Balancer:
    """A load balancer as in front of any fleet: it sends requests to the hosts whose ``/readyz`` said 200 last."""

    def __init__(self, hosts: list[Host], clients: list[httpx.AsyncClient]) -> None:
        self._clients = dict(zip(hosts, clients, strict=True))
        self._turns = itertools.count()
        self.ready = set(hosts)

    def next(self) -> httpx.AsyncClient:
        ready = [client for host, client in self._clients.items() if host in self.ready]
        return ready[next(self._turns) % len(ready)]

    async def look(self, host: Host) -> None:
        """Ask a host, without end; a host that takes a second to answer does not."""
        async with loopback_client(host.url) as client:
            while True:
                try:
                    asked = client.get("/readyz", headers={"connection": "close"}, timeout=1.0)
                    answers = (await asked).status_code == 200
                except httpx.TransportError:
                    answers = False
                (self.ready.add if answers else self.ready.discard)(host)
                await asyncio.sleep(0.1)

    async def until(self, host: Host, *, ready: bool) -> None:
        async with asyncio.timeout(LIMIT_S):
            while (host in self.ready) is not ready:
                await asyncio.sleep(0.02)


async def slow_model(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A model server that takes its time: 20 ms for an answer, and between two events of a stream."""
    while True:
        _, _, body = await read_request(reader)
        streams = bool(json.loads(body).get("stream"))
        pieces = events(["4"] * 20) if streams else [completion("4")]
        kind = "text/event-stream" if streams else "application/json"
        length = sum(map(len, pieces))
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n".encode())
        for piece in pieces:
            await asyncio.sleep(0.02)
            writer.write(piece)


async def use(balancer: Balancer, counts: Counter[str], *, keeps: bool = False, stream: bool = False) -> None:
    """Ask without end; count whole answers and everything else."""
    headers = {} if keeps else {"connection": "close"}
    while True:
        try:
            reply = await balancer.next().post(PATH, json=asked(stream=stream), headers=headers)
            whole = not stream or reply.text.rstrip().endswith("data: [DONE]")
            counts[str(reply.status_code) if whole else "broken off"] += 1
        except httpx.TransportError as error:
            counts[type(error).__name__] += 1
        await asyncio.sleep(0.01)


async def test_a_restart_of_all_three_in_turn_refuses_nobody(tmp_path: Path, address: str) -> None:
    """Behind a load balancer that asks /readyz: all requests are answered whole, streams too, and all are stored."""
    counts: Counter[str] = Counter()
    async with (
        loopback_server(slow_model) as upstream,
        running(tmp_path, config(upstream, address, lame_duck_s=LAME_DUCK_S), HOSTS) as hosts,
        clients_of(hosts) as clients,
    ):
        balancer = Balancer(hosts, clients)
        kinds: list[dict[str, bool]] = [{}, {"keeps": True}, {"stream": True}]
        tasks = [asyncio.create_task(balancer.look(host)) for host in hosts]
        tasks += [asyncio.create_task(use(balancer, counts, **kind)) for kind in kinds for _ in range(CLIENTS)]
        for host in hosts:
            before = counts["200"]
            while counts["200"] < before + 100:  # under way, and the load balancer has asked
                await asyncio.sleep(0.02)
            await host.stop()
            await balancer.until(host, ready=False)
            await host.start()
            await balancer.until(host, ready=True)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    async with stored_in(tmp_path, address) as store:
        stored = (await asyncio.to_thread(store.counts))["arithmetic"].exchanges
    log.warning("three restarts: %s; %d stored", dict(counts), stored)
    assert counts.keys() == {"200"}
    assert stored >= counts["200"]
