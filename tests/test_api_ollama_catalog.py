"""The models as Ollama's clients list them."""

from typing import Any

from tests.fakes import CONFIG, FakeUpstream, served
from tests.test_api_ollama import KEY, KEYED

STATED = CONFIG.replace('model = "tiny-1b"', 'model = "tiny-1b"\nquirks = { context = 8192 }')


def upstream() -> FakeUpstream:
    return FakeUpstream(lambda body: "4")


async def test_every_name_is_listed() -> None:
    """Models, the names of tasks, and tasks."""
    async with served(upstream()) as gateway:
        told = (await gateway.client.get("/api/tags")).json()["models"]
    assert [model["name"] for model in told] == ["small", "large", "gpt-4o-mini", "task:arithmetic"]
    assert all(model["model"] == model["name"] and len(model["digest"]) == 64 for model in told)


async def test_a_key_with_limits_sees_what_it_may_use() -> None:
    """And nothing without a key."""
    async with served(upstream(), KEYED) as gateway:
        listed = await gateway.client.get("/api/tags", headers=KEY)
        hidden = await gateway.client.post("/api/show", json={"model": "small"}, headers=KEY)
        missing = await gateway.client.get("/api/tags")
    assert [model["name"] for model in listed.json()["models"]] == ["gpt-4o-mini", "task:arithmetic"]
    assert hidden.status_code == 404
    assert missing.status_code == 401 and isinstance(missing.json()["error"], str)


async def test_a_model_is_shown_under_any_of_its_names() -> None:
    """With the length of its context, where that is known; older clients say ``name``."""
    async with served(upstream(), STATED) as gateway:
        shown: list[dict[str, Any]] = [
            (await gateway.client.post("/api/show", json=body)).json()
            for body in ({"model": "small:latest"}, {"name": "task:arithmetic"}, {"model": "large"})
        ]
        unknown = await gateway.client.post("/api/show", json={"model": "nothing"})
        nameless = await gateway.client.post("/api/show", json={})
    contexts = [each["model_info"].get("preceptor.context_length") for each in shown]
    assert contexts == [8192, 8192, None]
    assert "tools" in shown[0]["capabilities"]
    assert (unknown.status_code, nameless.status_code) == (404, 400)
    assert "nothing" in unknown.json()["error"]


async def test_a_client_finds_a_version_and_no_model_in_memory() -> None:
    """It looks for what the API can do."""
    async with served(upstream()) as gateway:
        version = (await gateway.client.get("/api/version")).json()["version"]
        running = (await gateway.client.get("/api/ps")).json()
        alive = await gateway.client.head("/")
    assert tuple(map(int, version.split("."))) >= (0, 6)
    assert running == {"models": []}
    assert alive.status_code == 200
