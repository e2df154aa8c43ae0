"""Azure's addresses, asked by HTTP: the same tasks, rules and keys as below ``/v1``."""

import json
from typing import Any

import pytest

from gateway.api.azure import DEPLOYMENT, place
from tests.fakes import CONFIG, FakeUpstream, asked, served

VERSION = "?api-version=2025-03-01-preview"
KEYED = CONFIG + '[keys.team]\nkey = "sixteen-letters-and-more"\ntasks = ["arithmetic"]\n'


def upstream() -> FakeUpstream:
    return FakeUpstream(lambda body: "It is 4")


@pytest.mark.parametrize(
    "path",
    [
        "/openai/deployments/gpt-4o-mini/chat/completions" + VERSION,
        "/v1/deployments/gpt-4o-mini/chat/completions" + VERSION,
        "/openai/deployments/gpt%2D4o-mini/chat/completions",
    ],
)
@pytest.mark.parametrize("body", [{"model": "another"}, {}], ids=["with another model", "without a model"])
async def test_a_deployment_is_the_model(path: str, body: dict[str, Any]) -> None:
    """The task is recognised by the name in the path; the record tells it."""
    async with served(upstream()) as gateway:
        sent = {**asked(), **body} if body else {name: value for name, value in asked().items() if name != "model"}
        reply = await gateway.client.post(path, json=sent)
        exchange = await gateway.exchange(reply)
    assert reply.status_code == 200 and reply.headers["x-preceptor-task"] == "arithmetic"
    assert (exchange.client_model, exchange.task) == ("gpt-4o-mini", "arithmetic")


async def test_the_newer_address_takes_the_body_s_model() -> None:
    """``/openai/v1`` is OpenAI's own API under another name."""
    async with served(upstream()) as gateway:
        reply = await gateway.client.post("/openai/v1/chat/completions", json=asked())
        unknown = await gateway.client.get("/openai/files")
    assert reply.headers["x-preceptor-task"] == "arithmetic"
    assert unknown.status_code == 404


async def test_a_key_with_limits_reaches_no_further() -> None:
    """The gate sees the address that is served, and Azure's header brings the key."""
    async with served(upstream(), KEYED) as gateway:
        path = "/openai/deployments/{}/chat/completions"
        headers = {"api-key": "sixteen-letters-and-more"}
        allowed = await gateway.client.post(path.format("gpt-4o-mini"), json=asked(), headers=headers)
        refused = await gateway.client.post(path.format("small"), json=asked(), headers=headers)
        keyless = await gateway.client.post(path.format("gpt-4o-mini"), json=asked())
        other = await gateway.client.post("/openai/deployments/small/images/generations", json={}, headers=headers)
    assert [reply.status_code for reply in (allowed, refused, keyless, other)] == [200, 403, 401, 403]


async def test_a_body_that_is_no_object_is_refused_as_everywhere() -> None:
    """The name of the deployment cannot be put into it."""
    async with served(upstream()) as gateway:
        reply = await gateway.client.post("/openai/deployments/small/chat/completions", content=b"[1]")
    assert reply.status_code == 400
    assert json.loads(reply.content)["error"]["message"] == "The body must be a JSON object."


@pytest.mark.parametrize(
    "path", ["/openai/deployments/", "/openai/deployments/x", "/openai/", "/openai/deployments//x"]
)
def test_no_other_address_is_changed(path: str) -> None:
    """It stays unknown."""
    scope: dict[str, Any] = {"path": path, "raw_path": path.encode()}
    place(scope)
    assert scope["path"] == path and DEPLOYMENT not in scope
