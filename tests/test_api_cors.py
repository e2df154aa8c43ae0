"""Web pages: an allowed one can use the gateway from a browser, another one cannot spend the operator's money."""

import json

import pytest

from tests.fakes import CONFIG, FakeUpstream, asked, served
from tests.test_api_gate import KEYS, TEAM

PAGE = "https://app.example.com"
OPEN_TO_A_PAGE = CONFIG.replace("port = 0", f'port = 0\ncors_origins = ["{PAGE}"]')
PATH = "/v1/chat/completions"
PREFLIGHT = {"origin": PAGE, "access-control-request-method": "POST",
             "access-control-request-headers": "authorization,content-type,x-stainless-os"}  # fmt: skip


@pytest.mark.parametrize("text", [OPEN_TO_A_PAGE, OPEN_TO_A_PAGE + KEYS], ids=["without keys", "with keys"])
async def test_an_allowed_page_may_ask(text: str) -> None:
    """Its preflight needs no key; its request does, and the reply may be read, errors included."""
    upstream = FakeUpstream(lambda body: "4")
    async with served(upstream, text) as gateway:
        preflight = await gateway.client.options(PATH, headers=PREFLIGHT)
        headers = {"origin": PAGE, "authorization": f"Bearer {TEAM}"}
        reply = await gateway.client.post(PATH, json=asked(), headers=headers)
        error = await gateway.client.post(PATH, json={}, headers={"origin": PAGE})
        health = await gateway.client.get("/readyz", headers={"origin": PAGE})
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-headers"] == PREFLIGHT["access-control-request-headers"]
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert (reply.status_code, error.status_code, health.status_code) == (200, 401 if KEYS in text else 400, 200)
    for answer in (preflight, reply, error):
        assert (answer.headers["access-control-allow-origin"], answer.headers["vary"]) == (PAGE, "origin")
    assert len(upstream.calls) == 1


async def test_a_stream_may_be_read_by_an_allowed_page() -> None:
    """The permission comes with its head."""
    async with served(FakeUpstream(lambda body: "4"), OPEN_TO_A_PAGE) as gateway:
        reply = await gateway.client.post(PATH, json=asked(stream=True), headers={"origin": PAGE})
    assert reply.headers["access-control-allow-origin"] == PAGE and "[DONE]" in reply.text


async def test_another_page_cannot_spend_the_provider_s_key() -> None:
    """A form or a fetch without a preflight sends text; neither the model nor the default upstream is asked."""
    upstream = FakeUpstream(lambda body: "4")
    text = CONFIG.replace("port = 0", 'port = 0\ndefault_upstream = "mock"')
    async with served(upstream, text) as gateway:
        for path in (PATH, "/v1/images/generations", "/v1/feedback", "/metrics", "/admin/tasks"):
            reply = await gateway.client.post(
                path,
                content=json.dumps(asked()),
                headers={"origin": "https://evil.example", "content-type": "text/plain"},
            )
            assert (reply.status_code, reply.json()["error"]["code"]) == (403, "origin_not_allowed")
            assert "access-control-allow-origin" not in reply.headers
        rebound = await gateway.client.post(PATH, json=asked(), headers={"host": "evil.example"})
        preflight = await gateway.client.options(PATH, headers={**PREFLIGHT, "origin": "https://evil.example"})
    assert (rebound.status_code, rebound.json()["error"]["code"]) == (403, "host_not_allowed")
    assert preflight.status_code == 403 and upstream.calls == []


async def test_an_orchestrator_may_call_by_any_name() -> None:
    """Health is nobody's secret."""
    async with served(FakeUpstream(lambda body: "4")) as gateway:
        reply = await gateway.client.get("/livez", headers={"host": "pod-7.example"})
    assert reply.status_code == 200
