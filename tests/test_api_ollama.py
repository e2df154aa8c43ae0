"""``/api/chat`` and its sisters over a real socket: Ollama's words on the outside, a chat on the inside."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from gateway.domain import Activation, Rule, RuleSet, Scratchpad
from gateway.errors import UpstreamBroken
from gateway.store.memory import MemoryStore
from tests.fakes import CONFIG, FakeReply, FakeUpstream, completion, events, served

PATH = "/api/chat"
PASSING = CONFIG.replace("port = 0", 'port = 0\ndefault_upstream = "mock"')
KEYED = CONFIG + '[keys.team]\nkey = "sixteen-letters-and-more"\ntasks = ["arithmetic"]\n'
KEY = {"authorization": "Bearer sixteen-letters-and-more"}


def asked(**fields: Any) -> dict[str, Any]:
    question = {"role": "user", "content": "What is 2 + 2?"}
    return {"model": "gpt-4o-mini", "messages": [{"role": "system", "content": "Be brief."}, question], **fields}


def lines(reply: httpx.Response) -> list[dict[str, Any]]:
    return [json.loads(line) for line in reply.text.splitlines()]


def taught(form: Scratchpad) -> MemoryStore:
    """A store with a live rule set of the form."""
    store = MemoryStore()
    rules = RuleSet(task="arithmetic", scratchpad=form, rules=(Rule(text="Count twice."),))
    store.activate(Activation(task="arithmetic", version=store.publish(rules).version, created=0.0, by="test"))
    return store


def worked(body: dict[str, Any]) -> str:
    """Works where it is told to."""
    text = str(body)
    if "draft for yourself" in text:
        return "2 and 2."
    return "<working>2 and 2.</working>\nIt is 4" if "<working>" in text else "It is 4"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("form", ["none", "tags", "two_pass"])
@pytest.mark.parametrize("path", [PATH, "/api/generate"])
async def test_rules_apply_in_every_form(path: str, form: Scratchpad, stream: bool) -> None:
    """The model hears them, the client gets its reply, and the record is that of a chat."""
    upstream = FakeUpstream(worked)
    content = {} if path == PATH else {"prompt": "What is 2 + 2?", "system": "Be brief."}
    async with served(upstream, store=taught(form)) as gateway:
        reply = await gateway.client.post(path, json=asked(stream=stream, **content))
        exchange = await gateway.exchange(reply)
    told = lines(reply)
    text = "".join(line["message"]["content"] if path == PATH else line["response"] for line in told)
    assert text.strip() == "It is 4"
    assert (told[-1]["done"], told[-1]["done_reason"], told[-1]["model"]) == (True, "stop", "gpt-4o-mini")
    assert told[-1]["eval_count"] == 3 * len(upstream.bodies) == exchange.usage.output_tokens
    assert "1. Count twice." in upstream.bodies[0]["messages"][0]["content"]
    assert (exchange.task, exchange.rules, exchange.stream) == ("arithmetic", 1, stream)
    assert (exchange.reply or "").strip() == "It is 4"


async def test_a_stream_is_lines_of_json() -> None:
    """Not events; several of them, and a stream is what a request without a word about it gets."""
    async with served(FakeUpstream(lambda body: "It is 4")) as gateway:
        reply = await gateway.client.post(PATH, json=asked())
    assert reply.headers["content-type"] == "application/x-ndjson"
    assert [line["message"]["content"] for line in lines(reply)] == ["It ", "is ", "4", ""]
    assert reply.headers["x-request-id"].startswith("ollama-")


async def test_a_prompt_without_the_template_is_a_completion() -> None:
    """It goes to the endpoint for completions, and no rule is added."""
    text = json.dumps({"choices": [{"index": 0, "text": " 4", "finish_reason": "stop"}]}).encode()
    upstream = FakeUpstream(lambda body: FakeReply(200, [text], {}))
    async with served(upstream, store=taught("none")) as gateway:
        body = {"model": "small", "prompt": "2 + 2 =", "raw": True, "stream": False}
        reply = await gateway.client.post("/api/generate", json=body)
    assert reply.json()["response"] == " 4"
    assert (upstream.calls[0].path, upstream.bodies[0]["prompt"]) == ("/completions", "2 + 2 =")


@pytest.mark.parametrize(
    ("path", "body"), [(PATH, {"messages": []}), (PATH, {}), ("/api/generate", {"prompt": ""}), ("/api/generate", {})]
)
async def test_a_request_without_content_is_answered_here(path: str, body: dict[str, Any]) -> None:
    """Its client wants the model in memory; no upstream is asked and nothing recorded."""
    upstream = FakeUpstream(lambda body: "4")
    async with served(upstream) as gateway:
        loaded = await gateway.client.post(path, json={"model": "small", **body})
        unloaded = await gateway.client.post(path, json={"model": "small", "keep_alive": 0, **body})
        unknown = await gateway.client.post(path, json={"model": "nothing", **body})
    assert (loaded.json()["done"], loaded.json()["done_reason"]) == (True, "load")
    assert unloaded.json()["done_reason"] == "unload"
    assert unknown.status_code == 404 and "nothing" in unknown.json()["error"]
    assert (
        upstream.calls == []
        and not gateway.services.store.recorded(0, limit=1)[0]
        and not gateway.services.writer.pending
    )


@pytest.mark.parametrize("name", ["small", "small:latest", "gpt-4o-mini:latest", "task:arithmetic"])
async def test_the_tag_that_clients_add_is_no_part_of_a_name(name: str) -> None:
    """The reply repeats the name as it was asked for."""
    async with served(FakeUpstream(lambda body: "4")) as gateway:
        reply = await gateway.client.post(PATH, json=asked(model=name, stream=False))
        exchange = await gateway.exchange(reply)
    assert (reply.status_code, reply.json()["model"]) == (200, name)
    assert exchange.client_model == name.removesuffix(":latest")


async def test_an_unknown_name_passes_to_the_default_upstream_with_its_tag() -> None:
    """There the tag may be a part of it."""
    upstream = FakeUpstream(lambda body: "4")
    async with served(upstream, PASSING) as gateway:
        await gateway.client.post(PATH, json=asked(model="llama3:latest", stream=False))
    assert upstream.bodies[0]["model"] == "llama3:latest"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (asked(model="nothing"), 404),
        (asked(messages="hi"), 400),
        (asked(messages=[{"content": "no role"}]), 400),
        (asked(format=7), 400),
    ],
)
async def test_an_error_is_worded_as_ollamas(body: dict[str, Any], status: int) -> None:
    """A text, under a status of its own, before a stream begins."""
    async with served(FakeUpstream(lambda body: "4")) as gateway:
        reply = await gateway.client.post(PATH, json=body)
    assert (reply.status_code, type(reply.json()["error"])) == (status, str)


async def test_an_upstreams_refusal_keeps_its_words() -> None:
    """They say what to do."""
    refused = FakeReply(400, [b'{"error": {"message": "the context is full"}}'], {})
    async with served(FakeUpstream(lambda body: refused)) as gateway:
        reply = await gateway.client.post(PATH, json=asked())
    assert (reply.status_code, reply.json()) == (400, {"error": "the context is full"})


async def test_an_error_in_a_stream_is_its_last_line() -> None:
    """Nothing follows it."""
    cut = FakeReply(200, [*events(["It"])[:2], UpstreamBroken("cut")], {"content-type": "text/event-stream"})
    async with served(FakeUpstream(lambda body: cut)) as gateway:
        reply = await gateway.client.post(PATH, json=asked())
    assert reply.status_code == 200
    assert lines(reply)[-1] == {"error": "cut"}


async def test_a_silent_stream_shows_a_line_without_a_word() -> None:
    """A comment of another kind of stream would break the client."""
    text = CONFIG.replace("port = 0", "port = 0\nheartbeat_s = 0.02")
    async with served(Slow(), text) as gateway:
        reply = await gateway.client.post(PATH, json=asked())
    silent, *_, last = lines(reply)
    assert (silent["message"]["content"], silent["done"], last["done"]) == ("", False, True)


class Slow(FakeUpstream):
    """Answers after some signs of life."""

    def __init__(self) -> None:
        super().__init__(lambda body: "It is 4")

    async def send(self, call: Any) -> Any:
        await asyncio.sleep(0.1)
        return await super().send(call)


@pytest.mark.parametrize(
    ("path", "body", "answer"),
    [
        ("/api/embed", {"input": ["a", "b"]}, {"embeddings": [[0.5], [1.0]]}),
        ("/api/embeddings", {"prompt": "a"}, {"embedding": [0.5]}),
    ],
)
async def test_texts_are_embedded(path: str, body: dict[str, Any], answer: dict[str, Any]) -> None:
    """By the upstream's endpoint for embeddings."""
    items = [{"index": at, "embedding": [vector]} for at, vector in enumerate((0.5, 1.0))]
    made = json.dumps({"object": "list", "data": items, "usage": {"prompt_tokens": 4}}).encode()
    upstream = FakeUpstream(lambda body: FakeReply(200, [made], {}))
    async with served(upstream) as gateway:
        reply = await gateway.client.post(path, json={"model": "small:latest", **body})
        refused = await gateway.client.post(path, json={"model": "nothing", **body})
    assert {name: reply.json()[name] for name in answer} == answer
    assert (upstream.calls[0].path, upstream.bodies[0]["model"]) == ("/embeddings", "tiny-1b")
    assert refused.status_code == 404 and isinstance(refused.json()["error"], str)


async def test_a_key_with_limits_is_checked_field_by_field() -> None:
    """Its task only, standard fields only; errors in Ollama's shape."""
    async with served(FakeUpstream(lambda body: "4"), KEYED) as gateway:
        post = gateway.client.post
        missing = await post(PATH, json=asked())
        right = await post(PATH, json=asked(stream=False, options={"temperature": 0}), headers=KEY)
        foreign = await post(PATH, json=asked(model="small"), headers=KEY)
        field = await post(PATH, json=asked(route="x"), headers=KEY)
        load = await post(PATH, json={"model": "gpt-4o-mini"}, headers=KEY)
        foreign_load = await post(PATH, json={"model": "small"}, headers=KEY)
    assert [reply.status_code for reply in (missing, right, foreign, field, load, foreign_load)] == [
        401, 200, 403, 403, 200, 403,
    ]  # fmt: skip
    assert all(isinstance(reply.json()["error"], str) for reply in (missing, foreign, field, foreign_load))


async def test_another_method_is_refused_in_ollamas_shape() -> None:
    """Never passed through, although a default upstream is there."""
    upstream = FakeUpstream(lambda body: "4")
    async with served(upstream, PASSING) as gateway:
        reply = await gateway.client.get(PATH)
        missing = await gateway.client.post("/api/pull", json={"model": "small"})
    assert (reply.status_code, missing.status_code, upstream.calls) == (405, 404, [])
    assert "/api/pull" in missing.json()["error"]


async def test_tool_calls_are_recorded_as_a_chats() -> None:
    """With their arguments as the model wrote them."""
    call = {"id": "c", "type": "function", "function": {"name": "add", "arguments": '{"a":2}'}}
    body = json.loads(completion(""))
    body["choices"][0] = {"index": 0, "message": {"content": None, "tool_calls": [call]}, "finish_reason": "tool_calls"}
    upstream = FakeUpstream(lambda _: FakeReply(200, [json.dumps(body).encode()], {}))
    async with served(upstream) as gateway:
        tool = {"type": "function", "function": {"name": "add"}}
        reply = await gateway.client.post(PATH, json=asked(stream=False, tools=[tool]))
        exchange = await gateway.exchange(reply)
    assert reply.json()["message"]["tool_calls"][0]["function"]["arguments"] == {"a": 2}
    assert [(each.name, each.arguments) for each in exchange.tool_calls] == [("add", '{"a":2}')]
