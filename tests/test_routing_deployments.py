"""Equal deployments of a model: shares of conversations, that stay where they are."""

import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from gateway.errors import UpstreamUnreachable
from gateway.formats.chat import open_chat
from gateway.formats.plain import open_embeddings
from gateway.routing.deployments import deployment_key, ordered
from gateway.services import Services
from tests import fakes
from tests.fakes import CONFIG, Answer, FakeReply, FakeUpstream

TWO = CONFIG.replace('[models.small]\nupstream = "mock"', '[models.small]\nupstreams = ["mock", "other"]').replace(
    "[models.small]", '[upstreams.other]\nkind = "openai"\nbase_url = "http://127.0.0.1:9/v1"\n[models.small]'
)


def test_each_deployment_gets_its_share_of_the_conversations() -> None:
    """By its weight; without weights they are equal."""
    keys = [f"conversation {number}".encode() for number in range(4000)]
    even = Counter(ordered("m", ["a", "b"], [], key)[0] for key in keys)
    heavy = Counter(ordered("m", ["a", "b"], [3, 1], key)[0] for key in keys)
    assert 0.47 < even["a"] / len(keys) < 0.53
    assert 0.72 < heavy["a"] / len(keys) < 0.78


def test_a_deployment_that_is_added_moves_only_what_it_gets() -> None:
    """The conversations that stay find their prompt cache."""
    keys = [f"conversation {number}".encode() for number in range(1000)]
    before = [ordered("m", ["a", "b"], [], key)[0] for key in keys]
    after = [ordered("m", ["a", "b", "c"], [], key)[0] for key in keys]
    assert {now for was, now in zip(before, after, strict=True) if now != was} == {"c"}


def test_the_key_is_the_conversations_or_the_chains() -> None:
    """Every turn has the same; a request without a conversation has its own."""
    first = {"role": "user", "content": "hi"}
    turns = [
        open_chat(json.dumps({"model": "m", "messages": messages}).encode())
        for messages in ([first], [first, {"role": "assistant", "content": "?"}, {"role": "user", "content": "!"}])
    ]
    assert deployment_key(turns[0], b"", None) == deployment_key(turns[1], b"", None)
    assert deployment_key(turns[0], b"", "abc") == b"abc"
    texts = [open_embeddings(json.dumps({"model": "m", "input": text}).encode()) for text in ("a", "b")]
    assert deployment_key(texts[0], b"", None) != deployment_key(texts[1], b"", None)


@contextlib.asynccontextmanager
async def pair(one: FakeUpstream, other: FakeUpstream) -> AsyncIterator[tuple[httpx.AsyncClient, Services]]:
    """A gateway whose small model has two deployments."""
    made = fakes.services(fakes.settings(TWO), {"mock": one, "other": other})
    async with fakes.gateway(made) as url, fakes.loopback_client(url) as client:
        yield client, made


def asked(number: int, **fields: Any) -> dict[str, Any]:
    return {"model": "small", "messages": [{"role": "user", "content": f"Question {number}"}], **fields}


async def test_conversations_are_spread_and_stay() -> None:
    """Both answer, and a second turn goes where the first went."""
    one, other = FakeUpstream(lambda body: "4"), FakeUpstream(lambda body: "4")
    async with pair(one, other) as (client, _):
        for number in range(40):
            await client.post("/v1/chat/completions", json=asked(number))
        counts = len(one.calls), len(other.calls)
        for number in range(40):
            await client.post("/v1/chat/completions", json=asked(number))
    assert min(counts) > 5
    assert (len(one.calls), len(other.calls)) == (2 * counts[0], 2 * counts[1])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["small", "gpt-4o-mini"])
async def test_the_conversations_of_one_that_fails_go_to_the_next(model: str, stream: bool) -> None:
    """Before any other fallback, with the arm and the model that they had."""
    one, other = FakeUpstream(lambda body: UpstreamUnreachable("gone")), FakeUpstream(lambda body: "4")
    async with pair(one, other) as (client, _):
        for number in range(20):
            reply = await client.post("/v1/chat/completions", json=asked(number, model=model, stream=stream))
            assert reply.status_code == 200
            assert reply.headers["x-preceptor-arm"] == ("direct" if model == "small" else "weak")
    assert len(other.calls) == 20 and one.calls


async def test_a_chain_of_responses_stays_where_it_began() -> None:
    """Only that deployment knows its responses, and it is asked for them later."""
    known: dict[str, set[str]] = {"one": set(), "other": set()}

    def server(name: str) -> FakeUpstream:
        def answer(body: dict[str, Any]) -> Answer:
            previous = body.get("previous_response_id")
            if "input" in body and previous is not None and previous not in known[name]:
                return FakeReply(404, [b'{"error":{"message":"Previous response not found","param":"x"}}'], {})
            id_ = f"resp_{name}_{len(known[name])}"
            known[name].add(id_)
            made = {"id": id_, "object": "response", "status": "completed", "output": []}
            return FakeReply(200, [json.dumps(made).encode()], {})

        return FakeUpstream(answer)

    one, other = server("one"), server("other")
    async with pair(one, other) as (client, _):
        for number in range(20):
            previous = None
            for turn in range(4):
                body = {"model": "small", "input": f"Question {number}.{turn}", "previous_response_id": previous}
                reply = await client.post("/v1/responses", json=body)
                assert reply.status_code == 200, reply.text
                previous = reply.json()["id"]
    assert len(one.calls) > 8 and len(other.calls) > 8
    assert len(one.calls) + len(other.calls) == 80
