"""Three gateways over one Postgres and one Valkey learn under load, and whoever leads is killed, ten times in a row.

No cycle is lost or doubled; all the while rules and feedback are everybody's, and in the end all stop in order.
"""

import asyncio
import contextlib
import functools
import itertools
import logging
import os
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec

from gateway.domain import Activation, Rule, RuleSet
from gateway.store.session_lock import LEADING
from gateway.store.sql import SqlStore
from optimizer.demo.loopback import loopback_server
from optimizer.distillation.outcome import Outcome
from tests.drills.test_fleet_swaps import PATH, database_of, stored_in
from tests.drills.test_recorder_kills import part
from tests.fakes import CONFIG
from tests.hosts import Host, clients_of, config, running
from tests.learning import answer_over_http
from tests.postgres import PostgresServer
from tests.scripted import BASE_PROMPT
from tests.valkey import valkey
from tests.world import answer, strong_reply, weak_reply

log = logging.getLogger(__name__)

HOSTS = 3
KILLS = 10
"""Of a learner and of a whole gateway in turn."""
SEED = 23
CLIENTS = 3
PAUSE_S = 0.1
"""Of a client between two requests."""
MOMENT = 20
"""Calls of models by which the learning goes on before a kill, at most."""
LEAD_S = 30.0
"""For another gateway to lead, on a machine that does much else: each looks every 0.2 s (``sweep_s`` below)."""
SWAP_S = 5.0
"""For a swap to be seen everywhere, on such a machine; 0.03 to 0.11 s were measured."""
AGAIN = 0.05
"""The share of feedback that has to be sent again at most: 1.5 s are not enough for a store on a full machine."""
STOP_S = 60.0
"""For a gateway to stop, on such a machine: a stop that hangs takes for ever."""
LIMIT_S = 300
CONCEPTS = ("", "twice ", "twice ", "thrice ")
"""The strong model finds the rule for one of the two only: there are mistakes to learn from until the end."""
TASK, OTHER = "arithmetic", "swapped"
TEXT = CONFIG.partition("[optimizer]")[0].replace("rollout = ", "shadow = { share = 0.4 }\nrollout = ")
TEXT += """
[tasks.swapped]
match = { model = "swapped" }
weak = "small"
strong = "large"
grader = { kind = "numeric" }
[optimizer]
schedule = "* * * * * *"
sweep_s = 0.2
min_mistakes = 5
selection_items = 12
confirmation_items = 30
"""
NOTED = """
CREATE TABLE noted (id serial PRIMARY KEY, what text, cycle integer, others integer);
CREATE FUNCTION note_cycle() RETURNS trigger AS $$ BEGIN
  INSERT INTO noted (what, cycle, others) SELECT TG_ARGV[0], NEW.id, count(*) FROM cycles
  WHERE task = NEW.task AND ended IS NULL AND id <> NEW.id;
  RETURN NEW;
END $$ LANGUAGE plpgsql;
CREATE TRIGGER note_begin AFTER INSERT ON cycles FOR EACH ROW EXECUTE FUNCTION note_cycle('begin');
CREATE TRIGGER note_end AFTER UPDATE ON cycles FOR EACH ROW WHEN (NEW.ended IS NOT NULL)
EXECUTE FUNCTION note_cycle('end');
"""
"""The database itself notes every begin and every end of a cycle, with the number of others of its task under way."""
HOLDER = f"SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = {LEADING} AND granted"  # noqa: S608 - a number


OVER = "SELECT cycle FROM noted WHERE what = 'begin' AND NOT EXISTS (SELECT FROM cycles WHERE ended IS NULL)"
"""All cycles so far, in a moment without one under way: the next one may begin a second later."""


class Fleet:
    """The gateways, their clients, and the database behind them."""

    def __init__(
        self, hosts: list[Host], clients: list[httpx.AsyncClient], store: SqlStore, query: Callable[[str], Any]
    ) -> None:
        self.hosts, self.clients = hosts, clients
        self.calls = 0
        """Calls of models by learners."""
        self.kills: Counter[str] = Counter()
        self.told: Counter[int] = Counter()
        """The first answers to feedback, where neither the gateway of the reply nor that of the feedback went down."""
        self.lost: list[str] = []
        """The replies among them that did not get their feedback at all."""
        self.leads: list[float] = []
        """Seconds from each end of a leader to the next."""
        self.stops: list[float] = []
        self._store, self._query = store, query
        self._downs = [0] * len(hosts)
        """The number of times that each gateway was killed or stopped."""

    async def query(self, statement: str) -> Any:
        return await asyncio.to_thread(self._query, statement)

    async def under_way(self) -> bool:
        """Whether a cycle is."""
        return await asyncio.to_thread(self._store.open_cycle, TASK) is not None

    async def learner(self) -> tuple[int, int]:
        """The gateway that leads, and its learner's process, once both are there and a cycle is under way."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                for number, host in enumerate(self.hosts):
                    assert host.process is not None
                    pid = part(host.process.pid, "learner")
                    if pid is not None and await self.under_way():
                        return number, pid
                await asyncio.sleep(0.02)

    async def kill(self, what: str, moments: random.Random) -> None:
        """Kill the leader, or its learner alone, while a cycle is under way; a gateway starts again at once."""
        await self.learner()
        moment = self.calls + moments.randint(1, MOMENT)
        async with asyncio.timeout(LIMIT_S):
            while self.calls < moment:
                await asyncio.sleep(0.02)
        number, pid = await self.learner()
        self.kills[what] += 1
        if what == "learner":
            os.kill(pid, signal.SIGKILL)
            return
        async with self.goes(number):
            await self.hosts[number].kill()
        await self.hosts[number].start()

    @contextlib.asynccontextmanager
    async def goes(self, number: int) -> AsyncIterator[None]:
        """A gateway that leads ends within the context, which is left once another one leads."""
        self._downs[number] += 1
        held, began = await self.query(HOLDER), time.perf_counter()

        async def another_leads() -> None:
            while await self.query(HOLDER) in (held, []):
                await asyncio.sleep(0.01)
            self.leads.append(time.perf_counter() - began)

        async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as group:
            group.create_task(another_leads())
            yield

    async def stop(self, number: int) -> None:
        began = time.perf_counter()
        await self.hosts[number].stop()
        self.stops.append(time.perf_counter() - began)

    async def use(self, choice: random.Random, numbers: "itertools.count[int]") -> None:
        """Ask a gateway, and tell another what is right, at once and without end."""
        while True:
            asked, told = choice.sample(range(HOSTS), 2)
            before = self._downs[asked], self._downs[told]
            number = next(numbers)
            text = f"What is {number} plus {choice.choice(CONCEPTS)}{2 * (number % 40) + 2}?"
            messages = [{"role": "system", "content": BASE_PROMPT}, {"role": "user", "content": text}]
            await asyncio.sleep(PAUSE_S)
            try:
                reply = await self.clients[asked].post(PATH, json={"model": "gpt-4o-mini", "messages": messages})
            except httpx.TransportError:
                continue  # it is down
            word = {"id": reply.json()["id"], "expected": float(answer(text))}
            statuses = [status async for status in self._tell(word, told)]
            if statuses[0] and before == (self._downs[asked], self._downs[told]):
                self.told[statuses[0]] += 1
                self.lost += [word["id"]] if statuses[-1] != 200 else []

    async def _tell(self, word: dict[str, Any], first: int) -> AsyncIterator[int]:
        """Send feedback to a gateway and then to the others until it is taken; yield the statuses, 0 for none."""
        for told in itertools.islice(itertools.cycle(range(HOSTS)), first, first + 4 * HOSTS):
            try:
                yield (status := (await self.clients[told].post("/v1/feedback", json=word)).status_code)
            except httpx.TransportError:
                yield (status := 0)
            if status == 200:
                return

    async def swap(self, store: SqlStore, version: int) -> float:
        """Activate another version of a task; return the seconds until all gateways serve by it."""
        await asyncio.to_thread(store.publish, RuleSet(task=OTHER, rules=(Rule(text=f"Rule {version}."),)))
        began = time.perf_counter()
        await asyncio.to_thread(store.activate, Activation(task=OTHER, version=version, created=1.0, by="test"))

        async def follows(client: httpx.AsyncClient) -> None:
            body = {"model": "swapped", "messages": [{"role": "user", "content": "What is 1000 plus 2?"}]}
            while (await client.post(PATH, json=body)).headers["x-preceptor-rules"] != str(version):
                await asyncio.sleep(0.01)

        async with asyncio.timeout(LIMIT_S):
            await asyncio.gather(*map(follows, self.clients))
        return time.perf_counter() - began


@contextlib.asynccontextmanager
async def fleet_of(folder: Path, address: str, postgres: PostgresServer) -> AsyncIterator[tuple[Fleet, SqlStore]]:
    query = functools.partial(postgres.run, database=database_of(address))
    await asyncio.to_thread(query, NOTED)
    fleets: list[Fleet] = []

    def script(body: dict[str, Any]) -> str:
        if "max_tokens" in body:  # no client says so
            for fleet in fleets:
                fleet.calls += 1
        return weak_reply(body) if body["model"] == "tiny-1b" else strong_reply(body)

    async with (
        loopback_server(functools.partial(answer_over_http, script=script)) as upstream,
        valkey() as (counters, _),
        stored_in(folder, address) as store,
    ):
        text = TEXT.replace("[server]", f'[server]\ncounters = "{counters}"')
        async with (
            running(folder, config(upstream, address, text=text), HOSTS) as hosts,
            clients_of(hosts) as clients,
        ):
            fleets.append(Fleet(hosts, clients, store, query))
            yield fleets[0], store


async def test_a_leader_that_is_killed_ten_times_loses_and_doubles_no_cycle(
    tmp_path: Path, address: str, postgres: PostgresServer
) -> None:
    """Every cycle that began has one end, no version is there twice, and nobody but the killed one is held up."""
    moments, numbers, swaps = random.Random(SEED), itertools.count(1000), list[float]()
    async with fleet_of(tmp_path, address, postgres) as (fleet, store):
        using = [asyncio.create_task(fleet.use(random.Random(number), numbers)) for number in range(CLIENTS)]
        for number in range(KILLS):
            await fleet.kill(("learner", "gateway")[number % 2], moments)
            swaps.append(await fleet.swap(store, number + 1))
        leader, _ = await fleet.learner()
        async with fleet.goes(leader):  # in order this time, in the middle of a cycle
            await fleet.stop(leader)
        async with asyncio.timeout(LIMIT_S):
            while not await asyncio.to_thread(store.rule_sets, TASK):
                await asyncio.sleep(0.05)
        for task in using:
            task.cancel()
        await asyncio.gather(*using, return_exceptions=True)
        async with asyncio.timeout(LIMIT_S):
            while not (over := await fleet.query(OVER)):
                await asyncio.sleep(0.05)
        await asyncio.gather(*(fleet.stop(number) for number in range(HOSTS) if number != leader))
        noted = await fleet.query("SELECT what, cycle, others FROM noted ORDER BY id")
        cycles = await asyncio.to_thread(store.cycles, TASK, limit=1000)
        versions = await asyncio.to_thread(store.rule_sets, TASK)
        history = await asyncio.to_thread(store.history, TASK)
    begun, ended = ([cycle for what, cycle, _ in noted if what == kind] for kind in ("begin", "end"))
    outcomes = [msgspec.json.decode(cycle.outcome, type=Outcome) for cycle in cycles if cycle.outcome]
    log.warning(
        "%s killed; %d cycles, %d versions; led anew after %s s; swaps in %s s; feedback: %s; stops in %s s",
        dict(fleet.kills), len(over), len(versions), shown(fleet.leads), shown(swaps), dict(fleet.told),
        shown(fleet.stops),
    )  # fmt: skip
    assert {cycle for (cycle,) in over} <= set(ended)
    assert len(ended) == len(set(ended)) and sorted(begun) == sorted(cycle.id for cycle in cycles)
    assert not any(others for _, _, others in noted)
    assert sorted(one.version or 0 for one in outcomes if one.adopted) == sorted(one.version for one in versions)
    assert len({tuple(sorted(rule.text for rule in one.rules)) for one in versions}) == len(versions)
    decided = [one.version for one in history if one.kind == "live"]
    assert len(decided) == len(set(decided))
    assert not fleet.lost and fleet.told[200] > (1 - AGAIN) * fleet.told.total()
    assert max(fleet.leads) < LEAD_S and max(swaps) < SWAP_S and max(fleet.stops) < STOP_S


def shown(seconds: list[float]) -> str:
    return ", ".join(f"{one:.2f}" for one in sorted(seconds))
