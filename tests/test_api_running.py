"""The headers of an exchange under way, and what is recorded of it."""

import pytest

from gateway.api.running import Running
from tests import fakes
from tests.fakes import CONFIG, FakeUpstream, asked, served, settings

KEY = "0123456789abcdef"


async def test_before_the_request_is_understood_only_its_id_is_known() -> None:
    """And nothing is recorded of it."""
    services = fakes.services(settings(CONFIG), {})
    exchange = Running(services, "chatcmpl-1")
    exchange.end("error", 400, "bad_request")
    assert exchange.headers() == [(b"x-request-id", b"chatcmpl-1")]
    assert services.writer.pending == 0


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("section", ["server", "tasks.arithmetic", "keys.a"])
async def test_without_texts_the_numbers_are_recorded(section: str, stream: bool) -> None:
    """As server, task or key say: neither question nor reply, nor the end user, nor feedback with an answer."""
    async with served(FakeUpstream(lambda body: "4"), recording(section, "text off")) as gateway:
        gateway.client.headers["authorization"] = f"Bearer {KEY}"
        reply = await gateway.client.post("/v1/chat/completions", json=asked(stream=stream, user="ann"))
        exchange = await gateway.exchange(reply)
        judged = await gateway.client.post("/v1/feedback", json={"id": exchange.id, "expected": "5"})
    assert "4" in reply.text and judged.status_code == 409
    assert (exchange.request, exchange.reply, exchange.tool_calls) == (b"{}", None, ())
    assert (exchange.tenant, exchange.cluster, exchange.audit_rate) == (None, None, 0.0)
    assert (exchange.usage.output_tokens, exchange.task, exchange.status) == (3, "arithmetic", "ok")


@pytest.mark.parametrize("section", ["server", "tasks.arithmetic", "keys.a"])
async def test_with_recording_off_nothing_is_stored(section: str) -> None:
    """The exchange is answered and counted; feedback on it has nowhere to go."""
    async with served(FakeUpstream(lambda body: "4"), recording(section, "off")) as gateway:
        gateway.client.headers["authorization"] = f"Bearer {KEY}"
        reply = await gateway.client.post("/v1/chat/completions", json=asked())
        judged = await gateway.client.post("/v1/feedback", json={"id": reply.json()["id"], "correct": True})
        counted = await gateway.client.get("/metrics")
        assert gateway.services.store.recorded(0, limit=9)[0] == []
    assert (reply.status_code, judged.status_code) == (200, 404)
    assert 'preceptor_exchanges_total{arm="weak",status="ok",task="arithmetic"} 1.0' in counted.text


def recording(section: str, mode: str) -> str:
    """A configuration with a key, and a mode of recording in one section."""
    text = CONFIG.replace("[optimizer]", f'[keys.a]\nkey = "{KEY}"\n[optimizer]')
    return text.replace(f"[{section}]", f'[{section}]\nrecord = "{mode}"')
