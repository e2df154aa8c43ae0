"""Ollama's own client cannot tell either: before an Ollama, and before an upstream that speaks OpenAI's API.

Each scenario runs against a scripted Ollama directly and through the gateway: the client holds the same reply, and the
server was asked the same thing. Times differ, and the tool calls' ids are the gateway's where the server has none.
"""

import base64
import json
from collections.abc import Callable
from typing import Any

import httpx
import ollama
import pytest
from pydantic import BaseModel

from gateway.domain import Activation, Rule, RuleSet, Scratchpad
from gateway.rules.live import refresh
from tests.conformance import replies
from tests.conformance.stage import Running
from tests.conformance.test_rules import RULE, WORKING, answered
from tests.conformance.upstream import Answer, Asked, ScriptedUpstream, refused, stream, whole
from tests.fakes import NO_TLS

Gateway = Callable[..., Running]

ASK = {"role": "user", "content": "What is 2 + 2?"}
PNG = base64.b64decode("iVBORw0KGgo=")
CALL = {"function": {"name": "add", "arguments": {"a": 2, "b": 2}}}
TURNS = [
    ASK, {"role": "assistant", "content": "Let me add.", "tool_calls": [CALL]},
    {"role": "tool", "tool_name": "add", "content": "4"},
]  # fmt: skip
DONE = {
    "done": True, "done_reason": "stop", "total_duration": 5, "load_duration": 1, "prompt_eval_count": 7,
    "prompt_eval_duration": 2, "eval_count": 3, "eval_duration": 2,
}  # fmt: skip
TIMES = ("created_at", "total_duration", "load_duration", "prompt_eval_duration", "eval_duration")
OFFLINE: Any = {"trust_env": False, "verify": NO_TLS}
NDJSON = {"content-type": "application/x-ndjson"}


def add(a: int, b: int) -> int:
    """Add two numbers.

    Args:
      a: the first
      b: the second
    """
    return a + b


class Sum(BaseModel):
    """A format, as the client's own documentation writes it."""

    sum: int


def said(text: str, **more: Any) -> dict[str, Any]:
    return {"message": {"role": "assistant", "content": text, **more}, "done": False}


def native(*lines: dict[str, Any]) -> Callable[[Asked], Answer]:
    """A server that sends lines where a stream is wanted, and else their sum."""

    def answer(asked: Asked) -> Answer:
        marks = {"model": asked.json["model"], "created_at": "2026-01-01T00:00:00Z"}
        if asked.json["stream"]:
            told = [{**marks, **line} for line in (*lines, {**lines[-1], **said(""), **DONE})]
            if "response" in lines[0]:
                told[-1] = {**marks, "response": "", **DONE}
            return Answer([json.dumps(line).encode() + b"\n" for line in told], headers=NDJSON, chunked=True)
        if "response" in lines[0]:
            return whole({**marks, "response": "".join(line["response"] for line in lines), **DONE})
        messages = [line["message"] for line in lines]
        text = "".join(message["content"] for message in messages)
        return whole({**marks, "message": {**messages[-1], "content": text}, **DONE})

    return answer


CHATS: dict[str, tuple[dict[str, Any], Callable[[Asked], Answer]]] = {
    "plain": ({}, native(said("It is "), said("4"))),
    "options": ({"options": {"temperature": 0, "num_ctx": 64, "num_predict": 9, "stop": ["END"], "mirostat": 2}},
                native(said("4"))),
    "a format": ({"format": Sum.model_json_schema()}, native(said('{"sum": 4}'))),
    "json": ({"format": "json"}, native(said('{"sum": 4}'))),
    "thinking": ({"think": True}, native(said("", thinking="Two and two."), said("4", thinking="")) ),
    "no thinking": ({"think": False}, native(said("4"))),
    "a level of thinking": ({"think": "low"}, native(said("4"))),
    "kept in memory": ({"keep_alive": "5m"}, native(said("4"))),
    "an image": ({"messages": [{**ASK, "images": [PNG]}]}, native(said("A dot."))),
    "a tool": ({"tools": [add]}, native(said("", tool_calls=[CALL]))),
    "results of tools": ({"tools": [add], "messages": TURNS}, native(said("4"))),
}  # fmt: skip


def client_of(url: str) -> Any:
    """The client; it retries nothing."""
    return ollama.Client(host=url.removesuffix("/v1"), **OFFLINE)


def seen(reply: Any) -> dict[str, Any]:
    """A reply as the client's types hold it, without its times."""
    held: dict[str, Any] = reply.model_dump()
    assert held["done"] is not True or held["total_duration"] > 0
    return {name: value for name, value in held.items() if name not in TIMES}


def parts_of(reply: Any) -> list[dict[str, Any]]:
    """A whole reply, or all pieces of a stream."""
    return [seen(reply)] if isinstance(reply, BaseModel) else [seen(part) for part in reply]


def joined(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """The pieces of a stream as one reply: servers cut them where they like."""
    messages = [part["message"] for part in parts]
    calls = [call for message in messages for call in message["tool_calls"] or ()]
    message = {name: "".join(each[name] or "" for each in messages) for name in ("content", "thinking")}
    return {**parts[-1], "message": {**messages[-1], **message, "tool_calls": calls}}


def asked_of(upstream: ScriptedUpstream) -> Any:
    """What the server was asked, without the ids that the gateway gives to calls, and without ``tools: []``."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            hidden = {"id", "tool_call_id", "name"} if value.get("role") == "tool" else {"id"}
            return {key: plain(each) for key, each in value.items() if key not in hidden and each != []}
        return [plain(each) for each in value] if isinstance(value, list) else value

    return [(each.line, plain(each.json)) for each in upstream.asked]


@pytest.fixture(scope="session")
def before_ollama(gateway: Gateway, direct: str) -> Running:
    """A gateway whose upstream is spoken to in Ollama's own API."""
    return gateway(direct.removesuffix("/v1"), kind="ollama")


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", CHATS)
def test_a_chat_is_the_same_through_the_gateway(
    name: str, streamed: bool, direct: str, before_ollama: Running, upstream: ScriptedUpstream
) -> None:
    """The reply that the client holds, and the question that the server gets."""
    fields, answer = CHATS[name]

    def perform(url: str, model: str) -> tuple[dict[str, Any], Any]:
        upstream.play([answer])
        with client_of(url) as client:
            parts = parts_of(client.chat(model, **{"messages": [ASK], **fields}, stream=streamed))
        return {**joined(parts), "model": "..."}, asked_of(upstream)

    without, asked = perform(direct, "tiny-1b")
    through, asked_through = perform(before_ollama.url, "small")
    assert through == without
    assert asked_through == asked


@pytest.mark.parametrize("fields", [{}, {"raw": True}, {"suffix": "!"}, {"system": "Be brief."}], ids=str)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_text_is_generated(
    fields: dict[str, Any], streamed: bool, before_ollama: Running, upstream: ScriptedUpstream
) -> None:
    """With the template as a chat, without it as a completion."""
    templated = "raw" not in fields and "suffix" not in fields
    upstream.play(
        [native(said("It is "), said("4")) if templated else native({"response": "It is "}, {"response": "4"})]
    )
    with client_of(before_ollama.url) as client:
        parts = parts_of(client.generate("small", "2 + 2?", **fields, stream=streamed))
    assert "".join(part["response"] for part in parts) == "It is 4"
    assert (parts[-1]["done_reason"], parts[-1]["eval_count"], parts[-1]["model"]) == ("stop", 3, "small")
    assert upstream.asked[0].line == f"POST /api/{'chat' if templated else 'generate'}"


@pytest.mark.parametrize("texts", ["a", ["a", "b"]], ids=["one", "two"])
def test_texts_are_embedded(texts: Any, direct: str, before_ollama: Running, upstream: ScriptedUpstream) -> None:
    """The same vectors, and the same question."""
    vectors = [[0.5, -0.25], [1.0, 2.0]][: len(texts)]
    answer = whole({"model": "tiny-1b", "embeddings": vectors, "prompt_eval_count": 4, "total_duration": 3})

    def perform(url: str, model: str) -> tuple[Any, Any]:
        upstream.play([answer])
        with client_of(url) as client:
            reply = client.embed(model, texts, truncate=True, options={"num_ctx": 64}, dimensions=2)
        return (reply.embeddings, reply.prompt_eval_count), asked_of(upstream)

    assert perform(before_ollama.url, "small") == perform(direct, "tiny-1b")


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_an_error_is_raised_as_ever(streamed: bool, through: Running, upstream: ScriptedUpstream) -> None:
    """With the status and the upstream's words."""
    upstream.play([refused(400)])
    with client_of(through.url) as client:
        with pytest.raises(ollama.ResponseError, match="refused with 400") as caught:
            parts_of(client.chat("small", [ASK], stream=streamed))
        with pytest.raises(ollama.ResponseError) as missing:
            client.pull("small")
    assert (caught.value.status_code, missing.value.status_code) == (400, 404)


def test_a_stream_that_breaks_off_raises(through: Running, upstream: ScriptedUpstream) -> None:
    """After the pieces that came."""
    upstream.play([stream(replies.chunks(replies.delta("It is"))[:2], end="cut")])
    with client_of(through.url) as client:
        parts = client.chat("small", [ASK], stream=True)
        assert next(parts).message.content == "It is"
        with pytest.raises(ollama.ResponseError):
            next(parts)


async def test_the_asynchronous_client(through: Running, upstream: ScriptedUpstream) -> None:
    """Before an upstream with OpenAI's API."""
    upstream.play([stream(replies.chunks(replies.delta("It is"), replies.delta(" 4")))])
    async with ollama.AsyncClient(host=through.url.removesuffix("/v1"), **OFFLINE) as client:
        text = [part.message.content async for part in await client.chat("small", [ASK], stream=True)]
    assert "".join(filter(None, text)) == "It is 4"


def test_models_are_listed_and_shown(through: Running) -> None:
    """The client reads every list; a model asked for ahead of a question is there."""
    with client_of(through.url) as client:
        names = [model.model for model in client.list().models]
        capabilities = client.show("small:latest").capabilities or []
        in_memory = client.ps().models
        reasons = (client.generate("small").done_reason, client.chat("small", keep_alive=0).done_reason)
    assert names == ["small", "large", "gpt-4o-mini", "task:arithmetic"]
    assert "tools" in capabilities and in_memory == []
    assert reasons == ("load", "unload")


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("form", ["none", "tags", "two_pass"])
def test_the_model_hears_the_rules_and_the_client_its_reply(
    form: Scratchpad, streamed: bool, gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    """In every form; feedback finds the exchange by the client's own name for the request."""
    running = gateway(upstream=f"# taught for Ollama's client, with scratchpad {form}")
    store = running.services.store
    if not store.rule_sets("arithmetic"):
        published = store.publish(RuleSet(task="arithmetic", scratchpad=form, rules=(Rule(text=RULE),)))
        store.activate(Activation(task="arithmetic", version=published.version, created=0, by="test"))
    refresh(store, running.services.rules)
    upstream.play([answered])
    ref = f"{form}-{streamed}"
    headers = {"x-client-request-id": ref}
    with ollama.Client(host=running.url.removesuffix("/v1"), headers=headers, **OFFLINE) as client:
        parts = parts_of(client.chat("gpt-4o-mini", [ASK], stream=streamed))
    assert joined(parts)["message"]["content"].strip() == "It is 4"
    assert parts[-1]["eval_count"] == 3 * len(upstream.asked)
    assert RULE in str(upstream.asked[0].json) and WORKING not in str(parts)
    running.services.writer.flush(5)
    told = httpx.post(f"{running.url}/feedback", json={"ref": ref, "correct": True}, **OFFLINE)
    assert told.status_code == 200
