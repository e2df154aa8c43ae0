"""Compressed request bodies."""

import gzip
import json
import zlib
from collections.abc import Callable

import pytest

from tests.fakes import CONFIG, FakeReply, FakeUpstream, asked, served

OPEN = CONFIG.replace("port = 0", 'port = 0\ndefault_upstream = "mock"\nmax_body_mb = 1\nmax_json_values = 1000')
CHAT = "/v1/chat/completions"
JSON = {"content-type": "application/json"}


def raw_deflate(body: bytes) -> bytes:
    made = zlib.compressobj(wbits=-15)
    return made.compress(body) + made.flush()


@pytest.mark.parametrize(
    ("coding", "compress"),
    [("gzip", gzip.compress), ("GZIP", gzip.compress), ("deflate", zlib.compress), ("deflate", raw_deflate),
     ("identity", bytes), ("", bytes), ("gzip", bytes)],
)  # fmt: skip
@pytest.mark.parametrize(("path", "body"), [(CHAT, asked()), ("/v1/moderations", {"model": "small", "input": "x"})])
async def test_a_body_is_decompressed(
    coding: str, compress: Callable[[bytes], bytes], path: str, body: dict[str, object]
) -> None:
    """For endpoints and for paths that pass through; plain JSON under a wrong header is taken as it is."""
    upstream = FakeUpstream(lambda body: "4" if "messages" in body else FakeReply(200, [b"{}"], {}))
    async with served(upstream, OPEN) as gateway:
        content = compress(json.dumps(body).encode())
        reply = await gateway.client.post(path, content=content, headers={**JSON, "content-encoding": coding})
        held = gateway.services.bodies.held
    assert reply.status_code == 200 and upstream.bodies[0]["model"] == "tiny-1b"
    assert held == 0


@pytest.mark.parametrize(
    ("coding", "content", "status"),
    [
        ("zstd", b"\x28\xb5\x2f\xfd", 415),
        ("br", b"\x0b\x02", 415),
        ("gzip", b"not gzip", 400),
        ("gzip", gzip.compress(json.dumps(asked()).encode())[:-9], 400),
        ("gzip", gzip.compress(bytes(10**8)), 413),
        ("gzip", gzip.compress(json.dumps({**asked(), "x": [0] * 2000}).encode()), 413),
    ],
    ids=["zstd", "brotli", "no gzip", "cut off", "a bomb", "many values"],
)
@pytest.mark.parametrize("path", [CHAT, "/v1/moderations"])
async def test_what_cannot_be_decompressed_is_refused(path: str, coding: str, content: bytes, status: int) -> None:
    """415 tells a client to send it plain; the limits are those of the body itself."""
    upstream = FakeUpstream(lambda body: "4")
    async with served(upstream, OPEN) as gateway:
        reply = await gateway.client.post(path, content=content, headers={**JSON, "content-encoding": coding})
        held = gateway.services.bodies.held
    assert reply.status_code == status and upstream.calls == [] and held == 0


async def test_the_coding_of_a_file_is_handed_on() -> None:
    """Nobody reads it here."""
    upstream = FakeUpstream(lambda body: FakeReply(200, [b"{}"], {}))
    content = gzip.compress(b"x")
    headers = {"content-type": "application/octet-stream", "content-encoding": "gzip"}
    async with served(upstream, OPEN) as gateway:
        await gateway.client.post("/v1/files", content=content, headers=headers)
    assert dict(upstream.calls[0].headers)[b"content-encoding"] == b"gzip" and upstream.calls[0].body == content
