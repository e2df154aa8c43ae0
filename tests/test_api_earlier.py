"""Chains of responses over two upstreams, under a canary and a trial; and the fetching of stored responses."""

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest

from gateway.domain import Activation, Rule, RuleSet
from gateway.routing.chains import Chains
from gateway.rules.live import refresh
from gateway.store.memory import MemoryStore
from tests import fakes
from tests.fakes import CONFIG, FakeReply, FakeUpstream, MoodyStore, Served, settings

PATH = "/v1/responses"
TWO = (
    CONFIG.replace('[models.large]\nupstream = "mock"', '[models.large]\nupstream = "other"')
    .replace("[models.small]", '[upstreams.other]\nkind = "openai"\nbase_url = "http://127.0.0.1:9/v1"\n[models.small]')
    .replace(
        'rollout = { policy = "at_once", holdback = 0 }',
        'serve = "canary"\nrollout = { holdback = 0.3, steps = [0.7, 1.0] }',
    )
)


class Responder(FakeUpstream):
    """Knows the responses that it made, and no other."""

    def __init__(self, name: str, *conversations: str) -> None:
        super().__init__(self._answer)
        self._name = name
        self._made: set[str] = set()
        self._conversations = set(conversations)

    def _answer(self, body: dict[str, Any]) -> FakeReply:
        earlier = body.get("previous_response_id")
        stored = body.get("conversation")
        stored = stored["id"] if isinstance(stored, dict) else stored
        if stored is not None and stored not in self._conversations:
            return FakeReply(404, [b'{"error":{"message":"no such conversation"}}'], {})
        if earlier is not None and earlier not in self._made:
            return FakeReply(404, [b'{"error":{"message":"no such response"}}'], {})
        made = f"resp_{self._name}{len(self._made)}"
        self._made.add(made)
        text = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "4"}]}
        shape = {"id": made, "object": "response", "status": "completed", "output": [text]}
        return FakeReply(200, [json.dumps(shape).encode()], {"content-type": "application/json"})


@contextlib.asynccontextmanager
async def two_upstreams(
    text: str = TWO, store: MemoryStore | None = None, upstreams: Mapping[str, Responder] | None = None
) -> AsyncIterator[Served]:
    made = fakes.services(settings(text), upstreams or {"mock": Responder("a"), "other": Responder("b")}, store)
    async with fakes.gateway(made) as url, httpx.AsyncClient(base_url=url, timeout=10, trust_env=False) as client:
        yield Served(url, made, client)


async def said(gateway: Served, text: str, earlier: str | None, **headers: str) -> httpx.Response:
    body = {"model": "gpt-4o-mini", "input": text, **({} if earlier is None else {"previous_response_id": earlier})}
    return await gateway.client.post(PATH, json=body, headers=headers)


def on_trial(store: MemoryStore) -> None:
    for text in ("Think.", "Think twice."):
        store.publish(RuleSet(task="arithmetic", rules=(Rule(text=text),)))
    store.activate(Activation(task="arithmetic", version=1, created=0, by="test"))
    store.activate(Activation(task="arithmetic", version=2, created=1, by="test", kind="canary", share=0.5))


@pytest.mark.parametrize("remembers", [True, False], ids=["from memory", "from the store"])
async def test_a_chain_of_turns_keeps_upstream_arm_and_version(remembers: bool) -> None:
    """Twenty chains of twenty turns: none is lost, none changes its arm, and each is one conversation."""
    store = MemoryStore()
    on_trial(store)
    arms = set()
    async with two_upstreams(store=store) as gateway:
        for chain in range(20):
            earlier, ways = None, set()
            for turn in range(20):
                reply = await said(gateway, f"chain {chain}, turn {turn}", earlier)
                assert reply.status_code == 200, reply.text
                earlier = reply.json()["id"]
                ways.add((reply.headers["x-preceptor-arm"], reply.headers["x-preceptor-rules"]))
                if not remembers:
                    await gateway.exchange(reply)
                    gateway.services.chains = Chains()
            assert len(ways) == 1
            arms |= ways
        await asyncio.to_thread(gateway.services.writer.flush, 5)
    clusters = [exchange.cluster for exchange in store.recorded(0, limit=1000)[0]]
    assert len(clusters) == 400 and len(set(clusters)) == 20
    assert {arm for arm, _ in arms} == {"strong", "weak", "canary", "holdback"}


def way(reply: httpx.Response) -> tuple[str, str]:
    """Arm and version of a reply that was given."""
    assert reply.status_code == 200, reply.text
    return reply.headers["x-preceptor-arm"], reply.headers["x-preceptor-rules"]


async def test_a_chain_outlives_a_restart_and_a_growing_share() -> None:
    """Ten turns, another process over the same records with other shares, ten turns more."""
    store, upstreams = MemoryStore(), {"mock": Responder("a"), "other": Responder("b")}
    on_trial(store)
    last: dict[int, str] = {}
    ways: dict[int, set[tuple[str, str]]] = {chain: set() for chain in range(20)}
    for life in range(2):
        if life:
            store.activate(Activation(task="arithmetic", version=2, created=2, by="t", kind="canary", share=0.9))
            store.activate(Activation(task="arithmetic", version=None, created=3, by="t", kind="share", share=1.0))
        async with two_upstreams(store=store, upstreams=upstreams) as gateway:
            refresh(store, gateway.services.rules)
            for turn in range(10):
                for chain, kept in ways.items():
                    reply = await said(gateway, f"chain {chain}, turn {turn + 10 * life}", last.get(chain))
                    kept.add(way(reply))
                    last[chain] = reply.json()["id"]
            await asyncio.to_thread(gateway.services.writer.flush, 5)
    assert all(len(kept) == 1 for kept in ways.values())
    assert {arm for kept in ways.values() for arm, _ in kept} == {"strong", "weak", "canary", "holdback"}


async def test_branches_of_a_chain_stay_with_it() -> None:
    """Several turns go on from one response: upstream, arm, version and conversation are the first one's."""
    store = MemoryStore()
    on_trial(store)
    async with two_upstreams(store=store) as gateway:
        for chain in range(12):
            first = await said(gateway, f"chain {chain}", None)
            ways = {way(first)}
            for branch in range(3):
                earlier = first.json()["id"]
                for turn in range(4):
                    reply = await said(gateway, f"branch {branch}, turn {turn}", earlier)
                    ways.add(way(reply))
                    earlier = reply.json()["id"]
            assert len(ways) == 1
        await asyncio.to_thread(gateway.services.writer.flush, 5)
    assert len({exchange.cluster for exchange in store.recorded(0, limit=1000)[0]}) == 12


@pytest.mark.parametrize("as_object", [False, True], ids=["a string", "an object"])
async def test_a_stored_conversation_stays_where_it_was_made(as_object: bool) -> None:
    """At the default upstream: 20 conversations of 20 turns, none lost, each on one arm, whatever shares do."""
    store, names = MemoryStore(), [f"conv_{number}" for number in range(20)]
    on_trial(store)
    upstreams = {"mock": Responder("a", *names), "other": Responder("b")}
    text = TWO.replace("[server]", '[server]\ndefault_upstream = "mock"')
    ways: dict[str, set[tuple[str, str]]] = {name: set() for name in names}
    async with two_upstreams(text, store, upstreams) as gateway:
        refresh(store, gateway.services.rules)
        for turn in range(20):
            if turn == 10:
                store.activate(Activation(task="arithmetic", version=2, created=2, by="t", kind="canary", share=1.0))
                store.activate(Activation(task="arithmetic", version=None, created=3, by="t", kind="share", share=1.0))
                refresh(store, gateway.services.rules)
            for name, kept in ways.items():
                body = {"model": "gpt-4o-mini", "input": f"turn {turn}", "conversation": name}
                asked = {**body, "conversation": {"id": name}} if as_object else body
                kept.add(way(await gateway.client.post(PATH, json=asked)))
    assert all(len(kept) == 1 for kept in ways.values())


async def test_nobody_goes_on_from_another_s_response() -> None:
    """A foreign id is drawn anew, like an unknown one: it tells nothing."""
    keys = "".join(f'[keys.{name}]\nkey = "{name}-sixteen-letters"\n' for name in ("ann", "bob"))
    async with two_upstreams(TWO + keys) as gateway:
        first = await said(gateway, "hi", None, authorization="Bearer ann-sixteen-letters")
        record = await gateway.exchange(first)
        own = await gateway.client.get(f"{PATH}/{record.id}", headers={"authorization": "Bearer ann-sixteen-letters"})
        foreign = await gateway.client.get(
            f"{PATH}/{record.id}", headers={"authorization": "Bearer bob-sixteen-letters"}
        )
    assert (own.status_code, foreign.status_code) == (200, 404)


async def test_a_stored_response_is_asked_where_it_is() -> None:
    """Retrieved, cancelled and deleted at its own upstream, with and without a default one."""
    async with two_upstreams() as gateway:
        ids = [(await said(gateway, f"question {number}", None)).json()["id"] for number in range(12)]
        for made in ids:
            assert (await gateway.client.get(f"{PATH}/{made}?include=x")).status_code == 200
        unknown = await gateway.client.get(f"{PATH}/resp_unknown")
        upstreams = gateway.services.serving.upstreams
    assert unknown.status_code == 404
    for name, letter in (("mock", "a"), ("other", "b")):
        fetched = [call.path for call in upstreams[name].calls if call.method == "GET"]  # type: ignore[attr-defined]
        assert fetched == [f"/responses/{made}" for made in ids if made.startswith(f"resp_{letter}")]


async def test_an_id_that_a_server_repeats_loses_no_record() -> None:
    """The second record keeps the gateway's own id, which the header names."""
    always = FakeReply(200, [b'{"id":"resp_1","object":"response","status":"completed","output":[]}'], {})
    async with fakes.served(FakeUpstream(lambda body: always)) as gateway:
        replies = [await gateway.client.post(PATH, json={"model": "small", "input": text}) for text in ("a", "b")]
        records = [await gateway.exchange(reply) for reply in replies]
    assert records[0].id == "resp_1" != records[1].id
    assert [json.loads(record.request)["input"] for record in records] == ["a", "b"]


async def test_a_failing_store_stops_no_chain() -> None:
    """An id that is not in memory is unknown for the moment."""
    store = MoodyStore()
    made = fakes.services(settings(CONFIG), {"mock": Responder("a")}, store)
    async with fakes.gateway(made) as url, httpx.AsyncClient(base_url=url, timeout=10, trust_env=False) as client:
        gateway = Served(url, dataclasses.replace(made), client)
        first = await said(gateway, "hi", None)
        await gateway.exchange(first)
        made.chains = Chains()
        store.down = True
        again = await said(gateway, "and?", first.json()["id"])
        store.down = False
    assert again.status_code == 200


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_stored_chat_keeps_its_id_and_is_asked_where_it_is(stream: bool) -> None:
    """Clients fetch, change and delete it by the id of the reply; feedback takes that one, too."""
    upstreams = {"mock": FakeUpstream(lambda body: "4"), "other": FakeUpstream(lambda body: "4")}
    text = TWO.replace("[server]", '[server]\ndefault_upstream = "other"')
    made = fakes.services(settings(text), upstreams)
    async with fakes.gateway(made) as url, httpx.AsyncClient(base_url=url, timeout=10, trust_env=False) as client:
        gateway = Served(url, made, client)
        body = fakes.asked(model="small", store=True, stream=stream)
        reply = await client.post("/v1/chat/completions", json=body)
        assert (await gateway.exchange(reply)).id == "upstream-1"
        await client.get("/v1/chat/completions/upstream-1/messages")
        judged = await client.post("/v1/feedback", json={"id": "upstream-1", "correct": True})
    assert '"id": "upstream-1"' in reply.text and judged.status_code == 200
    assert [call.path for call in upstreams["mock"].calls][1:] == ["/chat/completions/upstream-1/messages"]
    assert upstreams["other"].calls == []
