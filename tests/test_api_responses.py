"""``POST /v1/responses``: the end of a stream that breaks off, as OpenAI words it."""

import json

from gateway.api.responses import error_event
from gateway.errors import UpstreamBroken
from tests.fakes import CONFIG, FakeReply, FakeUpstream, served

CREATED = (
    b'event: response.created\ndata: {"type":"response.created","sequence_number":6,'
    b'"response":{"id":"resp_1","object":"response","status":"in_progress","output":[]}}\n\n'
)


async def test_a_stream_that_breaks_off_ends_with_an_error_event() -> None:
    """Its number follows the event before; clients that check their events accept it."""
    upstream = FakeUpstream(
        lambda body: FakeReply(
            200, [CREATED, UpstreamBroken("the line is dead")], {"content-type": "text/event-stream"}
        )
    )
    async with served(upstream, CONFIG) as gateway:
        reply = await gateway.client.post("/v1/responses", json={"model": "small", "input": "hi", "stream": True})
    first, last = [block for block in reply.text.split("\n\n") if block]
    assert first.startswith("event: response.created")
    name, _, data = last.partition("\n")
    assert name == "event: error"
    assert json.loads(data.removeprefix("data: ")) == {
        "type": "error", "code": "upstream_broken", "message": "the line is dead", "param": None, "sequence_number": 7,
    }  # fmt: skip


async def test_a_stored_prompt_names_its_model() -> None:
    """The request reaches the default upstream as it came; without one, nobody knows the prompt."""
    made = {"id": "resp_7", "object": "response", "status": "completed", "output": []}
    upstream = FakeUpstream(lambda body: FakeReply(200, [json.dumps(made).encode()], {}))
    body = {"prompt": {"id": "pmpt_1"}}
    async with served(upstream, CONFIG.replace("port = 0", 'port = 0\ndefault_upstream = "mock"')) as gateway:
        reply = await gateway.client.post("/v1/responses", json=body)
    async with served(upstream, CONFIG) as gateway:
        refused = await gateway.client.post("/v1/responses", json=body)
    assert (reply.status_code, upstream.bodies) == (200, [body])
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "model")


def test_a_stream_without_numbers_begins_with_zero() -> None:
    """Local servers leave them out."""
    data = error_event(UpstreamBroken("gone"), after=b'data: {"type":"response.created"}\n\n').partition(b"data: ")[2]
    assert json.loads(data)["sequence_number"] == 0
