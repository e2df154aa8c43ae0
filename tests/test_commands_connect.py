"""Trials of every model, against a scripted server."""

import asyncio
import json
from typing import Any

from gateway.commands.connect import try_models
from gateway.settings import Settings, parse
from optimizer.demo.loopback import loopback_server
from tests.conformance.upstream import Answer, ScriptedUpstream
from tests.fakes import read_request
from tests.sent_messages import message, said

CONFIG = """
[upstreams.u]
kind = "openai"
base_url = "{address}"
retries = 0
[models.chat]
upstream = "u"
model = "chat"
[models.vectors]
upstream = "u"
model = "vectors"
[models.gone]
upstream = "u"
model = "gone"
[models.barred]
upstream = "u"
model = "barred"
[models.slow]
upstream = "u"
model = "slow"
"""


def configured(address: str, text: str = CONFIG) -> Settings:
    return parse(text.format(address=address), source="test", environment={})


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        line, _, body = await read_request(reader)
        status, payload = reply(line, json.loads(body) if body else {})
        if payload is None:
            await asyncio.Event().wait()
        encoded = json.dumps(payload).encode()
        writer.write(
            f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(encoded)}\r\n\r\n".encode()
            + encoded
        )


def reply(line: str, body: dict[str, Any]) -> tuple[int, Any]:
    model = body.get("model")
    if line.startswith("GET /v1/models"):
        return 200, {"data": []}
    if model == "slow":
        return 200, None
    if model == "barred":
        return 401, {"error": {"message": "no"}}
    if model == "gone" or (model == "vectors" and "embeddings" not in line):
        return 404, {"error": {"message": f"there is no chat model {model}"}}
    if model == "vectors":
        return 200, {"object": "list", "data": [{"embedding": [0.1], "index": 0, "object": "embedding"}],
                     "usage": {"prompt_tokens": 1, "total_tokens": 1}}  # fmt: skip
    message = {"index": 0, "message": {"role": "assistant", "content": "OK"}, "finish_reason": "stop"}
    return 200, {"id": "x", "object": "chat.completion", "choices": [message], "usage": {}}


async def test_every_model_is_called_once() -> None:
    """A failure of one hides no other; a model without chat may know embeddings; an upstream keeps its words."""
    async with loopback_server(answer) as address:
        results = {result.name: result for result in await try_models(configured(address), longest_s=0.5)}
    assert {name.removeprefix("models.") for name, result in results.items() if result.ok} == {"chat", "vectors"}
    assert "embeddings" in results["models.vectors"].detail
    assert results["models.gone"].detail == "there is no chat model gone"
    assert "refused the gateway's key" in results["models.barred"].detail
    assert "no answer within" in results["models.slow"].detail


async def test_an_upstream_for_unknown_names_is_asked_for_its_models() -> None:
    """It has no model of the configuration that could be called."""
    text = '[server]\ndefault_upstream = "u"\n' + CONFIG.partition("[models.chat]")[0]
    async with loopback_server(answer) as address:
        (result,) = await try_models(configured(address, text))
    assert (result.name, result.ok) == ("upstreams.u", True)
    (result,) = await try_models(configured("http://127.0.0.1:9/v1", text))
    assert not result.ok


async def test_an_anthropic_upstream_is_tried_in_its_own_words() -> None:
    """A model by a message, an upstream without models by its list."""
    server = ScriptedUpstream()
    server.play([Answer([json.dumps(message(said("OK"))).encode()])])
    text = (
        '[upstreams.u]\nkind = "anthropic"\nbase_url = "{address}"\n[models.haiku]\nupstream = "u"\nmodel = "haiku"\n'
    )
    alone = '[server]\ndefault_upstream = "u"\n[upstreams.u]\nkind = "anthropic"\nbase_url = "{address}"\n'
    async with loopback_server(server) as address:
        (tried,) = await try_models(configured(address, text))
        (listed,) = await try_models(configured(address, alone))
    assert (tried.ok, tried.detail, listed.ok) == (True, "answers", True)
    assert [asked.line for asked in server.asked] == ["POST /v1/messages", "GET /v1/models"]
