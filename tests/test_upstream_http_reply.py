"""Replies over HTTP: bounded, decompressed, and without our secrets in their errors."""

import gzip
from collections.abc import Sequence

import pytest

from gateway.errors import UpstreamGarbage, UpstreamTooLarge
from gateway.settings import OpenAISettings, UpstreamLimits
from gateway.upstream.base import Call
from gateway.upstream.http import HttpUpstream
from gateway.upstream.http_reply import Bounds, HttpReply
from optimizer.demo.loopback import loopback_server
from tests.fakes import read_request

CALL = Call(model="m", body=b"{}")
STREAM = Call(model="m", body=b"{}", stream=True)
FILE = Call(model="", body=b"", stream=True, bounded=False)
SECRET = b"sk-secret-1234"
LIMITS = UpstreamLimits(max_answer_mb=0.001)


class Pieces:
    """A ``WireAnswer`` out of pieces."""

    def __init__(self, pieces: Sequence[bytes], status: int, headers: Sequence[tuple[bytes, bytes]]) -> None:
        self.status, self.headers, self._pieces = status, headers, list(pieces)
        self.given = 0

    def arrived(self) -> bytes | None:
        return None

    async def piece(self, within_s: float) -> bytes:
        self.given += 1
        return self._pieces.pop(0) if self._pieces else b""

    def close(self) -> None: ...


def reply(
    *pieces: bytes, call: Call = CALL, status: int = 200, headers: Sequence[tuple[bytes, bytes]] = ()
) -> tuple[HttpReply, Pieces]:
    answer = Pieces(pieces, status, headers)
    return HttpReply(Bounds.of("mock", LIMITS, [SECRET]), answer, call, deadline=float("inf")), answer


async def chunks(made: HttpReply) -> bytes:
    return b"".join([piece async for piece in made.chunks()])


@pytest.mark.parametrize("call", [CALL, STREAM])
async def test_an_answer_within_the_bound_is_whole(call: Call) -> None:
    """To the last byte."""
    made, _ = reply(b"x" * 400, b"y" * 600, call=call)
    assert (await made.read() if call is CALL else await chunks(made)) == b"x" * 400 + b"y" * 600


@pytest.mark.parametrize("call", [CALL, STREAM])
async def test_an_answer_beyond_the_bound_is_an_error_at_once(call: Call) -> None:
    """The rest is not read; the message names the setting."""
    made, answer = reply(*[b"x" * 400] * 1000, call=call)
    with pytest.raises(UpstreamTooLarge, match=r"more than 0.001 MB \(upstreams.mock.max_answer_mb\)"):
        await (made.read() if call is CALL else chunks(made))
    assert answer.given == 3


async def test_a_file_is_handed_through_whatever_its_size() -> None:
    """Nothing of it is held."""
    made, _ = reply(*[b"x" * 400] * 1000, call=FILE)
    assert len(await chunks(made)) == 400_000


@pytest.mark.parametrize("call", [CALL, STREAM, FILE])
async def test_an_error_has_a_bound_of_its_own(call: Call) -> None:
    """No error is a gigabyte long."""
    made, answer = reply(*[b"x" * 2**19] * 1000, call=call, status=500)
    with pytest.raises(UpstreamTooLarge, match=r"an error of more than 1\.04858 MB"):
        await (made.read() if call is CALL else chunks(made))
    assert answer.given == 3


@pytest.mark.parametrize("call", [CALL, FILE])
async def test_a_secret_in_an_error_is_masked(call: Call) -> None:
    """Also across two pieces; the length stays, for it may have been announced."""
    words = b'{"error":{"message":"header authorization: Bearer sk-secret-1234 is odd"}}'
    made, _ = reply(words[:50], words[50:], call=call, status=400)
    masked = await (made.read() if call is CALL else chunks(made))
    assert masked == words.replace(SECRET, b"*" * len(SECRET)) and len(masked) == len(words)


async def test_a_compressed_answer_is_read_within_the_bound() -> None:
    """Unasked; headers about the compressed body go, and a bomb ends early."""
    headers = [(b"Content-Encoding", b"gzip"), (b"Content-Length", b"9"), (b"X-A", b"b")]
    body = gzip.compress(b"{}" * 100)
    made, _ = reply(body[:9], body[9:], headers=headers)
    assert await made.read() == b"{}" * 100
    assert made.headers == {"x-a": "b"}
    bomb, answer = reply(gzip.compress(bytes(10**8)), headers=headers)
    with pytest.raises(UpstreamTooLarge):
        await bomb.read()
    assert answer.given == 1


@pytest.mark.parametrize(
    ("coding", "body"), [(b"br", b"x"), (b"gzip", b"plain"), (b"gzip", gzip.compress(b"{}", mtime=0)[:-3])]
)
async def test_a_coding_that_cannot_be_read_is_garbage(coding: bytes, body: bytes) -> None:
    """It was not asked for."""
    made, _ = reply(body, headers=[(b"content-encoding", coding)])
    with pytest.raises(UpstreamGarbage, match="coding"):
        await made.read()


def test_bounds_show_no_secret() -> None:
    """In no traceback."""
    assert "secret" not in repr(Bounds.of("mock", LIMITS, [SECRET]))


QUOTED = (
    "sk-secret-1234", "x-key-5678", "a-very-long-header-value", "pass-word", "query-key-9", "2024-10-21", "beta-2",
)  # fmt: skip


async def test_every_secret_of_an_upstream_is_masked_and_nothing_else() -> None:
    """Key, password, headers and query as far as they look like secrets; dates and versions stay readable."""

    async def quote(reader, writer) -> None:  # type: ignore[no-untyped-def]  # asyncio's
        await read_request(reader)
        body = " ".join(QUOTED).encode()
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    async with loopback_server(quote) as url:
        address = url.replace("//", "//ann:pass-word@") + "?key=query-key-9&api-version=2024-10-21"
        headers = {"x-api-key": "x-key-5678", "x-team": "a-very-long-header-value", "beta": "beta-2"}
        section = OpenAISettings(base_url=address, api_key="sk-secret-1234", headers=headers)
        made = HttpUpstream.of("mock", section, address)
        shown = (await (await made.send(CALL)).read()).decode().split()
        await made.aclose()
    assert shown == ["*" * len(word) for word in QUOTED[:5]] + list(QUOTED[5:])
