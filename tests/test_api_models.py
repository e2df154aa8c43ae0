"""``GET /v1/models``: the names that a client may use."""

import pytest

from tests.fakes import CONFIG, FakeUpstream, served

SLASH = CONFIG + '\n[models."org/name:7b"]\nupstream = "mock"\nmodel = "x"\n'


async def test_every_name_that_may_be_asked_for_is_listed_once() -> None:
    """Configured models, models that tasks are recognised by, and tasks outright; in OpenAI's shape."""
    config = CONFIG + '\n[tasks.second]\nweak = "small"\nstrong = "large"\nmatch = { model = "small" }\n'
    async with served(FakeUpstream(lambda body: "4"), config) as gateway:
        reply = await gateway.client.get("/v1/models")
    assert reply.json() == {
        "object": "list",
        "data": [
            {"id": name, "object": "model", "created": 0, "owned_by": "preceptor"}
            for name in ("small", "large", "gpt-4o-mini", "task:arithmetic", "task:second")
        ],
    }


@pytest.mark.parametrize("path", ["org/name:7b", "org%2Fname%3A7b"])
async def test_a_model_s_name_may_hold_slashes(path: str) -> None:
    """Escaped or not."""
    async with served(FakeUpstream(lambda body: "4"), SLASH) as gateway:
        reply = await gateway.client.get(f"/v1/models/{path}")
    assert (reply.status_code, reply.json().get("id")) == (200, "org/name:7b")


async def test_an_unknown_model_is_404() -> None:
    """With OpenAI's code."""
    async with served(FakeUpstream(lambda body: "4")) as gateway:
        reply = await gateway.client.get("/v1/models/nobody")
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "model_not_found")


async def test_clients_of_anthropic_s_get_their_own_shape() -> None:
    """A list without further pages, and one model."""
    headers = {"anthropic-version": "2023-06-01"}
    async with served(FakeUpstream(lambda body: "4")) as gateway:
        reply = await gateway.client.get("/v1/models", headers=headers)
        single = await gateway.client.get("/v1/models/small", headers=headers)
    small = {"type": "model", "id": "small", "display_name": "small", "created_at": "1970-01-01T00:00:00Z"}
    assert reply.json()["data"][0] == single.json() == small
    assert {name: value for name, value in reply.json().items() if name != "data"} == {
        "has_more": False, "first_id": "small", "last_id": "task:arithmetic"
    }  # fmt: skip
