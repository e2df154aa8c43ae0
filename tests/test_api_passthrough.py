"""Paths that have no endpoint of their own: handed to the default upstream as they are, keys and cookies aside."""

import asyncio

import httpx
import pytest

from gateway.errors import UpstreamBroken, UpstreamUnreachable
from tests.fakes import CONFIG, FakeReply, FakeUpstream, served

OPEN = CONFIG.replace("port = 0", 'port = 0\ndefault_upstream = "mock"')
BYTES = bytes(range(256))


def answering(*chunks: bytes | Exception, status: int = 200, **headers: str) -> FakeUpstream:
    return FakeUpstream(lambda body: FakeReply(status, chunks, {n.replace("_", "-"): v for n, v in headers.items()}))


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_a_request_arrives_as_it_was_sent(method: str) -> None:
    """Method, path with its escapes, query, body of any kind; of the headers only those that are needed."""
    upstream = answering(b"{}")
    async with served(upstream, OPEN) as gateway:
        await gateway.client.request(
            method, "/v1/files/a%2Fb?x=1%202&y=", content=BYTES,
            headers={"content-type": "multipart/form-data; boundary=x", "authorization": "Bearer client",
                     "cookie": "a=b", "idempotency-key": "k", "x-forwarded-for": "10.0.0.1"},
        )  # fmt: skip
    (call,) = upstream.calls
    assert call.once is (method != "GET")
    assert (call.method, call.path, call.query, call.body) == (method, "/files/a%2Fb", "x=1%202&y=", BYTES)
    assert dict(call.headers) == {
        b"accept": b"*/*", b"content-type": b"multipart/form-data; boundary=x", b"idempotency-key": b"k"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("model", "sent"),
    [("small", "tiny-1b"), ("gpt-4o-mini", "tiny-1b"), ("task:arithmetic", "tiny-1b"), ("another", "another")],
)
async def test_a_configured_name_means_the_same_on_every_path(model: str, sent: str) -> None:
    """A moderation, an image or a count of tokens by a model's or a task's name; other names arrive as they came."""
    upstream = answering(b"{}")
    async with served(upstream, OPEN) as gateway:
        await gateway.client.post("/v1/moderations", json={"model": model, "input": "x"})
    assert upstream.bodies == [{"model": sent, "input": "x"}]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/chat/completions?limit=2"), ("GET", "/v1/models/gpt-9"), ("DELETE", "/v1/models/ft:a/b"),
        ("GET", "/v1/chat/completions/chatcmpl-1"),
    ],
)  # fmt: skip
async def test_what_only_the_upstream_knows_is_asked_there(method: str, path: str) -> None:
    """Stored chats, and models that pass through."""
    upstream = answering(b"{}")
    async with served(upstream, OPEN) as gateway:
        reply = await gateway.client.request(method, path)
        own = await gateway.client.get("/v1/models/small")
    assert reply.status_code == 200
    assert [(call.method, "/v1" + call.path) for call in upstream.calls] == [(method, path.partition("?")[0])]
    assert own.json()["owned_by"] == "preceptor"


async def test_a_key_with_limits_learns_nothing_of_the_upstreams_models() -> None:
    """Its names are those of its own list."""
    upstream = answering(b"{}")
    text = OPEN + '[keys.team]\nkey = "sixteen-letters-and-more"\ntasks = ["arithmetic"]\n'
    async with served(upstream, text) as gateway:
        headers = {"authorization": "Bearer sixteen-letters-and-more"}
        reply = await gateway.client.get("/v1/models/gpt-9", headers=headers)
        stored = await gateway.client.get("/v1/chat/completions", headers=headers)
    assert (reply.status_code, stored.status_code, upstream.calls) == (404, 405, [])


@pytest.mark.parametrize("text", [CONFIG, OPEN], ids=["closed", "open"])
async def test_a_websocket_is_declined_at_once(text: str) -> None:
    """With 426 a client goes on by plain HTTP; after a 405 it tries to connect again for seconds."""
    upstream = answering(b"{}")
    async with served(upstream, text) as gateway:
        headers = {
            "connection": "Upgrade",
            "upgrade": "websocket",
            "sec-websocket-key": "x",
            "sec-websocket-version": "13",
        }
        reply = await gateway.client.get("/v1/responses", headers=headers)
    assert (reply.status_code, reply.json()["error"]["code"], upstream.calls) == (426, "no_websockets", [])


async def test_an_answer_arrives_as_it_was_sent() -> None:
    """Status, bytes and type; no cookie, and none of the upstream's other headers."""
    upstream = answering(b"ab", b"c", status=206, content_type="audio/mpeg", set_cookie="a=b", server="x")
    async with served(upstream, OPEN) as gateway:
        reply = await gateway.client.get("/v1/audio/speech")
    assert (reply.status_code, reply.content, reply.headers["content-type"]) == (206, b"abc", "audio/mpeg")
    assert "set-cookie" not in reply.headers and "server" not in reply.headers
    assert upstream.replies[0].closed


async def test_without_a_default_upstream_there_is_nothing() -> None:
    """A 404 in OpenAI's shape."""
    async with served(answering(b"{}")) as gateway:
        reply = await gateway.client.post("/v1/moderations", json={})
    assert reply.status_code == 404
    assert reply.json()["error"] == {
        "message": "Invalid URL (POST /v1/moderations)", "type": "invalid_request_error", "param": None,
        "code": "unknown_url",
    }  # fmt: skip


@pytest.mark.parametrize("path", ["/v1/../admin", "/v1/%2e%2e/admin", "/v1/x/%2e%2e%2f%2e%2e/admin"])
async def test_a_path_cannot_leave_the_upstreams_own(path: str) -> None:
    """The upstream's address comes from the configuration only."""
    upstream = answering(b"{}")
    async with served(upstream, OPEN) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(gateway.url).port)
        writer.write(f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
    assert b" 404 " in answer.splitlines()[0]
    assert upstream.calls == []


async def test_a_refused_key_is_not_quoted() -> None:
    """The upstream refused the gateway's key: its words may hold it."""
    async with served(answering(b'{"error":{"message":"bad key sk-1"}}', status=401), OPEN) as gateway:
        reply = await gateway.client.get("/v1/files")
    assert reply.status_code == 401 and "sk-1" not in reply.text
    assert reply.json()["error"]["code"] == "upstream_key_refused"


async def test_an_upstream_that_is_away_is_a_502() -> None:
    """In OpenAI's shape."""
    async with served(FakeUpstream(lambda body: UpstreamUnreachable("gone")), OPEN) as gateway:
        reply = await gateway.client.get("/v1/files")
    assert reply.status_code == 502 and reply.json()["error"]["code"] == "upstream_unreachable"


async def test_an_answer_that_breaks_off_is_not_whole_for_the_client_either() -> None:
    """A cut body must not look like a short one."""
    upstream = answering(b"ab", UpstreamBroken("cut"), content_type="application/octet-stream")
    async with served(upstream, OPEN) as gateway:
        with pytest.raises(httpx.RemoteProtocolError):
            await gateway.client.get("/v1/files/1/content")


@pytest.mark.parametrize(
    "path", ["/v1/moderations", "/v1/batches", "/v1/responses/resp_1/cancel", "/v1/images/generations"]
)
async def test_too_many_values_are_refused_on_every_path(path: str) -> None:
    """A JSON object is decoded for its model's name; an upload is not, whatever it looks like inside."""
    upstream = answering(b"{}")
    few = OPEN.replace("port = 0", "port = 0\nmax_json_values = 500")
    many = ("  {" + ",".join(f'"k{number}":1' for number in range(501)) + "}").encode()
    texts = b'{"model":"another","input":"' + b"[,{" * 1000 + b'"}'
    async with served(upstream, few) as gateway:
        refused = await gateway.client.post(path, content=many)
        upload = {"content-type": "multipart/form-data; boundary=x"}
        taken = [
            await gateway.client.post(path, content=texts),
            await gateway.client.post(path, content=b"--x\n" + many, headers=upload),
        ]
    assert (refused.status_code, refused.json()["error"]["code"]) == (413, "too_many_values")
    assert [reply.status_code for reply in taken] == [200, 200] and len(upstream.calls) == 2
