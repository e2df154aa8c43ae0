"""Kept replies over HTTP: who gets them, what they cost, and that nothing is learnt from them."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest

from gateway.api.running import HIT, Running
from gateway.domain import Activation, Rule, RuleSet
from gateway.errors import UpstreamBroken
from gateway.formats.chat import open_chat
from gateway.issued_keys import IssuedKey
from gateway.routing.route import route
from gateway.settings import Quirks
from gateway.settings.keys import digest
from gateway.store.memory import MemoryStore
from gateway.store.notes import FORGOTTEN
from gateway.upstream.quirk_memory import server_digest
from tests import fakes
from tests.fakes import CONFIG, Answer, FakeReply, FakeUpstream, Served, asked, completion, events, settings
from tests.test_anthropic_served import CLAUDE, claude

CACHED = CONFIG.replace("rollout =", "cache = {}\nrollout =")
KEYS = {"ann": "k" * 16, "bob": "q" * 16}
TWO_KEYS = CACHED + "".join(f'[keys.{name}]\nkey = "{key}"\n' for name, key in KEYS.items())
CHAT = "/v1/chat/completions"
LONG = completion("cut").replace(b'"stop"', b'"length"')
JSON = {"content-type": "application/json"}


def numbered(answers: Mapping[int, Answer] | None = None) -> FakeUpstream:
    """An upstream whose every reply differs from the others: the number of the request, unless given."""
    upstream = FakeUpstream(lambda body: (answers or {}).get(len(upstream.bodies), f"reply {len(upstream.bodies)}"))
    return upstream


@contextlib.asynccontextmanager
async def served(text: str = CACHED, upstream: FakeUpstream | None = None, **parts: Any) -> AsyncIterator[Served]:
    async with fakes.served(upstream or numbered(), text, **parts) as gateway:
        yield gateway


async def ask(gateway: Served, *, key: str | None = None, path: str = CHAT, **fields: Any) -> httpx.Response:
    headers = {} if key is None else {"authorization": f"Bearer {KEYS[key]}"}
    return await gateway.client.post(path, json={**asked(temperature=0), **fields}, headers=headers)


def cache_of(reply: httpx.Response) -> str | None:
    found: str | None = reply.headers.get("x-preceptor-cache")
    return found


async def recorded(gateway: Served) -> int:
    """The number of exchanges in the store."""
    await asyncio.to_thread(gateway.services.writer.flush, 5)
    return len(gateway.services.store.recorded(0, limit=99)[0])


async def both(gateway: Served, **fields: Any) -> list[str | None]:
    """Ask twice and return what the header said."""
    return [cache_of(await ask(gateway, **fields)) for _ in range(2)]


async def test_the_same_request_is_answered_from_memory() -> None:
    """With the same bytes, and without the upstream."""
    upstream = numbered()
    async with served(upstream=upstream) as gateway:
        first, second = await ask(gateway), await ask(gateway)
    assert (cache_of(first), cache_of(second), len(upstream.bodies)) == ("miss", "hit", 1)
    assert first.content == second.content
    assert first.headers["x-request-id"] == second.headers["x-request-id"] == first.json()["id"]


async def test_a_task_that_did_not_ask_for_it_keeps_nothing() -> None:
    """And says nothing about it."""
    upstream = numbered()
    async with served(CONFIG, upstream) as gateway:
        assert await both(gateway) == [None, None]
    assert len(upstream.bodies) == 2


@pytest.mark.parametrize("fields", [{"temperature": 1e-9}, {"temperature": None}, {"n": 2}, {"model": "small"}])
async def test_other_requests_are_not_looked_up(fields: dict[str, Any]) -> None:
    """A task's cache is for its own requests at temperature 0."""
    upstream = numbered()
    async with served(upstream=upstream) as gateway:
        assert await both(gateway, **fields) == [None, None]
    assert len(upstream.bodies) == 2


async def test_two_keys_never_see_each_others_replies() -> None:
    """Nor do two end users of one key, even where they ask the same."""
    async with served(TWO_KEYS) as gateway:
        for expected in ("miss", "hit"):
            whose = [("ann", "x"), ("ann", "y"), ("bob", "x"), ("bob", "y")]
            replies = [await ask(gateway, key=key, user=user) for key, user in whose]
            assert len({reply.json()["choices"][0]["message"]["content"] for reply in replies}) == 4
            assert {cache_of(reply) for reply in replies} == {expected}


@pytest.mark.parametrize("scratchpad", ["none", "tags", "two_pass"])
async def test_another_version_answers_anew(scratchpad: Any) -> None:
    """After a swap, and after a roll-back, too: its own replies come again, the other version's never."""
    store, upstream = MemoryStore(), numbered()

    async def activate(gateway: Served, version: int | None) -> None:
        before = gateway.services.rules.current.revision
        store.activate(Activation(task="arithmetic", version=version, created=0, by="test"))
        await gateway.until(lambda: gateway.services.rules.current.revision != before)

    async with served(upstream=upstream, store=store) as gateway:
        rules = (Rule(text="Work."),)
        version = store.publish(RuleSet(task="arithmetic", rules=rules, scratchpad=scratchpad)).version
        assert await both(gateway) == ["miss", "hit"]
        await activate(gateway, version)
        assert await both(gateway) == ["miss", "hit"]
        await activate(gateway, None)
        assert cache_of(await ask(gateway)) == "hit"


async def test_an_old_reply_is_asked_anew() -> None:
    """After ``seconds`` on the gateway's clock; here none have to pass."""
    async with served(CACHED.replace("cache = {}", "cache = { seconds = 1e-9 }")) as gateway:
        assert await both(gateway) == ["miss", "miss"]


async def test_a_reply_lives_no_longer_than_the_records() -> None:
    """``server.retention_days`` covers what is kept in memory, too."""
    async with served(CACHED.replace("[server]", "[server]\nretention_days = 1e-9")) as gateway:
        assert await both(gateway) == ["miss", "miss"]


async def test_a_reply_beyond_a_tenth_of_the_memory_is_not_kept() -> None:
    """Whole or streamed."""
    async with served(CACHED.replace("cache = {}", "cache = { max_mb = 0.005 }")) as gateway:
        assert await both(gateway) == ["miss", "miss"]
        assert await both(gateway, stream=True) == ["miss", "miss"]


FAILURES: dict[str, Answer] = {
    "refused": FakeReply(500, [b'{"error": {"message": "no"}}'], JSON),
    "refused for the request": FakeReply(400, [b'{"error": {"message": "no"}}'], JSON),
    "no json": FakeReply(200, [b"<html>"], JSON),
    "broken off": UpstreamBroken("gone"),
    "cut off": FakeReply(200, [LONG], JSON),
    "filtered": FakeReply(200, [LONG.replace(b'"length"', b'"content_filter"')], JSON),
    "empty": FakeReply(200, [completion("")], JSON),
    "without an end": FakeReply(200, [completion("4").replace(b'"stop"', b"null")], JSON),
}


@pytest.mark.parametrize("answer", FAILURES.values(), ids=FAILURES)
async def test_what_is_no_complete_reply_is_never_kept(answer: Answer) -> None:
    """Cut off at ``max_tokens`` (``length``) it would come again, and a repair would not help."""
    async with served(upstream=numbered({1: answer})) as gateway:
        await ask(gateway)
        assert await both(gateway) == ["miss", "hit"]


@pytest.mark.parametrize("kept", [3, 4])
async def test_a_stream_that_breaks_off_is_never_kept(kept: int) -> None:
    """Without its last events, or with an error in their place."""
    chunks: list[bytes | Exception] = [*events(["a", "b", "c"])[:3], UpstreamBroken("gone")]
    broken = FakeReply(200, chunks[:kept], {"content-type": "text/event-stream"})
    async with served(upstream=numbered({1: broken})) as gateway:
        await ask(gateway, stream=True)
        assert await both(gateway, stream=True) == ["miss", "hit"]


async def test_a_fallbacks_reply_is_not_kept() -> None:
    """The model of the task shall answer as soon as it can."""
    text = CACHED.replace("cache = {}", 'cache = {}\nfallback = ["large"]')
    async with served(text, numbered({1: FAILURES["refused"]})) as gateway:
        first = await ask(gateway)
        assert (first.status_code, first.headers["x-preceptor-arm"]) == (200, "fallback")
        assert await both(gateway) == ["miss", "hit"]


async def test_a_stream_comes_again_as_a_stream() -> None:
    """Event for event; a whole reply and a stream are kept apart."""
    async with served() as gateway:
        whole, first, second = await ask(gateway), await ask(gateway, stream=True), await ask(gateway, stream=True)
    assert (cache_of(whole), cache_of(first), cache_of(second)) == ("miss", "miss", "hit")
    assert first.content == second.content and second.content.endswith(b"data: [DONE]\n\n")
    assert second.headers["content-type"].startswith("text/event-stream")


BODIES: dict[str, dict[str, Any]] = {
    "/v1/messages": {"max_tokens": 9},
    "/api/chat": {"options": {"temperature": 0}},
    "/v1/chat/completions": {},
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", BODIES)
async def test_each_api_gets_its_own_shape(path: str, stream: bool) -> None:
    """The reply keeps the id of its exchange, in the body or in the header."""
    async with served() as gateway:
        first = await ask(gateway, path=path, stream=stream, **BODIES[path])
        second = await ask(gateway, path=path, stream=stream, **BODIES[path])
        exchange = await gateway.exchange(second)
    assert (cache_of(first), cache_of(second)) == ("miss", "hit")
    assert "reply" in second.text and exchange.reply == "reply 1"
    if path != "/api/chat":  # its replies tell the time
        assert first.content == second.content


def response(id_: str, status: str = "completed") -> FakeReply:
    """A reply of ``/v1/responses``."""
    part = {"type": "output_text", "text": f"I am {id_}", "annotations": []}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    made = {"id": id_, "object": "response", "status": status, "model": "tiny-1b", "output": [item], "usage": None}
    return FakeReply(200, [json.dumps(made).encode()], JSON)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_response_that_is_not_stored_comes_again(stream: bool) -> None:
    """Under the id of its record: the upstream's, or ours where the upstream repeats its ids, as here."""
    upstream = FakeUpstream(lambda body: response("resp_1"))
    body = {"model": "gpt-4o-mini", "temperature": 0, "store": False, "stream": stream}
    async with served(upstream=upstream) as gateway:
        replies = [
            await gateway.client.post("/v1/responses", json={**body, "input": text}) for text in ("a", "b", "a", "b")
        ]
        questions = [(await gateway.exchange(reply)).request for reply in replies]
    assert [cache_of(reply) for reply in replies] == ["miss", "miss", "hit", "hit"]
    assert [reply.content for reply in replies[:2]] == [reply.content for reply in replies[2:]]
    assert questions[:2] == questions[2:] and questions[0] != questions[1]


async def test_a_response_that_was_not_completed_is_not_kept() -> None:
    """Whatever the reason."""
    async with served(upstream=FakeUpstream(lambda body: response("resp_1", "incomplete"))) as gateway:
        body = {"model": "gpt-4o-mini", "temperature": 0, "store": False, "input": "a"}
        replies = [await gateway.client.post("/v1/responses", json=body) for _ in range(2)]
    assert [cache_of(reply) for reply in replies] == ["miss", "miss"]


async def test_feedback_on_a_repeated_reply_reaches_the_exchange_behind_it() -> None:
    """It is the same reply, so it is the same evidence, once."""
    async with served() as gateway:
        await ask(gateway)
        again = await ask(gateway)
        judged = await gateway.client.post("/v1/feedback", json={"id": again.json()["id"], "expected": "4"})
        exchange = await gateway.exchange(again)
        assert judged.status_code == 200
        assert [given.exchange_id for given in gateway.services.store.feedback_on(exchange.id)] == [exchange.id]


async def test_a_repeated_reply_is_no_exchange() -> None:
    """Everything that learns or compares reads recorded exchanges: mistakes, audit, shadows, roll-outs, labels."""
    async with served() as gateway:
        for stream in (False, True):
            assert await both(gateway, stream=stream) == ["miss", "hit"]
        metrics = (await gateway.client.get("/metrics")).text
        assert await recorded(gateway) == 2
    assert metrics.count("# TYPE preceptor_cache_bytes") == 1
    assert 'preceptor_exchanges_total{arm="weak",status="ok",task="arithmetic"} 2.0' in metrics
    assert 'preceptor_tokens_total{direction="output",task="arithmetic"} 6.0' in metrics
    assert 'preceptor_cache_hits_total{task="arithmetic"} 2.0' in metrics
    assert 'preceptor_cache_misses_total{task="arithmetic"} 2.0' in metrics
    assert 'preceptor_cache_bytes{task="arithmetic"} ' in metrics


LIMITED = CACHED.replace("cache = {}", "cache = {}\nlimits = { %s }")


async def test_a_repeated_reply_counts_as_a_request() -> None:
    """A limit on requests holds for all of them."""
    async with served(LIMITED % "requests_per_minute = 2") as gateway:
        replies = [await ask(gateway) for _ in range(3)]
    assert [reply.status_code for reply in replies] == [200, 200, 429]


async def test_a_repeated_reply_takes_no_tokens() -> None:
    """Not even for a moment: what is left of the limit stays."""
    async with served(LIMITED % "tokens_per_minute = 600") as gateway:
        left = [(await ask(gateway)).headers["x-ratelimit-remaining-tokens"] for _ in range(4)]
    assert left[1:] == ["590"] * 3


async def test_a_repeated_reply_costs_nothing() -> None:
    """By the models' prices, under a budget."""
    text = LIMITED.replace("limits = { %s }", "budget = { usd = 1.0 }").replace(
        'model = "tiny-1b"', 'model = "tiny-1b"\nprice = { input = 1000.0, output = 1000.0 }'
    )
    async with served(text) as gateway:
        await ask(gateway)
        (meter,) = gateway.services.quotas.meters
        spent = meter.spent
        await ask(gateway)
        assert (meter.spent, meter.reserved, meter.in_flight) == (spent, 0, 0)
        assert spent > 0


@pytest.mark.parametrize("mode", ["off", "text off"])
@pytest.mark.parametrize("section", ["server", "tasks.arithmetic", "keys.ann"])
async def test_without_recorded_texts_no_text_is_kept(section: str, mode: str) -> None:
    """Whoever forbids the one forbids the other."""
    text = TWO_KEYS.replace(f"[{section}]", f'[{section}]\nrecord = "{mode}"')
    async with served(text) as gateway:
        assert await both(gateway, key="ann") == [None, None]


async def test_a_client_that_objects_gets_and_leaves_nothing() -> None:
    """``x-preceptor-learn: off`` is about the text, wherever it would be kept."""
    async with served() as gateway:
        gateway.client.headers["x-preceptor-learn"] = "off"
        assert await both(gateway) == [None, None]
        del gateway.client.headers["x-preceptor-learn"]
        assert await both(gateway) == ["miss", "hit"]


async def test_a_model_that_takes_no_temperature_is_always_asked() -> None:
    """It chooses by chance, whatever the request says."""
    async with served() as gateway:
        services = gateway.services
        key = (server_digest(services.settings.upstreams["mock"]), "tiny-1b")
        services.quirks.learn(key, Quirks(without=("temperature",)))
        assert await both(gateway) == [None, None]


async def test_forgetting_empties_the_memory() -> None:
    """``preceptor forget`` in another process is heard within a second or so."""
    async with served() as gateway:
        assert await both(gateway) == ["miss", "hit"]
        await asyncio.to_thread(FORGOTTEN.write, gateway.services.store, 1.0)
        generation = gateway.services.replies.generation
        await gateway.until(lambda: gateway.services.replies.generation != generation)
        assert await both(gateway) == ["miss", "hit"]


async def test_a_change_of_keys_empties_the_memory() -> None:
    """A key made later under the name of a revoked one finds nothing of its predecessor."""
    async with served(TWO_KEYS) as gateway:
        assert await both(gateway, key="bob") == ["miss", "hit"]
        gateway.services.take_keys({"new": IssuedKey(hash=digest("n" * 16))})
        assert await both(gateway, key="bob") == ["miss", "hit"]


async def test_a_change_of_the_configuration_empties_the_memory() -> None:
    """Another address, or another key for it, may lead to another model."""
    async with served() as gateway:
        assert await both(gateway) == ["miss", "hit"]
        for call in gateway.services.on_reload:
            call()
        assert await both(gateway) == ["miss", "hit"]


async def test_a_client_that_hangs_up_during_a_repeated_reply_leaves_no_record() -> None:
    """As if it had stayed: there is no exchange to record."""
    services = fakes.services(settings(CACHED), {})
    exchange = Running(services, "chatcmpl-1")
    request = open_chat(json.dumps(asked()).encode())
    exchange.trace.plan = route(request, "arithmetic", services.rules.current, services.settings)
    exchange.cached = HIT
    exchange.end("abandoned", 499, "client_disconnected")
    assert services.writer.pending == 0


async def test_the_log_says_where_a_reply_came_from() -> None:
    """With the times of the request itself, and no tokens for a hit."""
    async with served() as gateway:
        lines: list[str] = []
        gateway.services.request_log._write = lines.append
        await both(gateway)
        await gateway.until(lambda: len("".join(lines).splitlines()) >= 2)
    first, second = [json.loads(line) for line in "".join(lines).splitlines()[:2]]
    assert (first["cache"], second["cache"], first["id"] == second["id"]) == ("miss", "hit", True)
    assert "output_tokens" in first and "output_tokens" not in second


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", ["/v1/messages", CHAT])
async def test_claudes_replies_are_kept_as_well(path: str, stream: bool) -> None:
    """A message as it came, and the chat that it was translated to."""
    upstream, server = claude()
    text = CLAUDE.replace("rollout =", "cache = {}\nrollout =")
    async with fakes.served(upstream, text) as gateway:
        replies = [await ask(gateway, path=path, stream=stream, max_tokens=9) for _ in range(2)]
        exchange = await gateway.exchange(replies[1])
    assert [cache_of(reply) for reply in replies] == ["miss", "hit"]
    assert replies[0].content == replies[1].content
    assert (len(server.calls), exchange.reply) == (1, "4")
