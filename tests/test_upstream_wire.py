"""The seam between upstreams and sockets: what a request is, and that any wire is an httpx transport."""

from collections.abc import AsyncIterator, Sequence

import httpx
import pytest

from gateway.upstream.wire import Origin, Request, Wire


class Scripted(Wire):
    """A wire that answers with the same pieces, or fails with the same error; ``sent`` holds what it was given."""

    def __init__(self, pieces: Sequence[bytes | httpx.TransportError], failure: httpx.TransportError | None = None):
        self._pieces = pieces
        self._failure = failure
        self.sent: list[Request] = []
        self.closed = 0

    async def send(self, request: Request) -> "Scripted.Answer":
        self.sent.append(request)
        if self._failure is not None:
            raise self._failure
        return self.Answer(self)

    async def aclose(self) -> None: ...

    class Answer:
        status = 200
        headers = ((b"X-Was", b"1"), (b"X-Was", b"2"))

        def __init__(self, wire: "Scripted") -> None:
            self._wire = wire
            self._left = list(wire._pieces)

        def arrived(self) -> bytes | None:
            return None

        async def piece(self, within_s: float) -> bytes:
            piece = self._left.pop(0) if self._left else b""
            if isinstance(piece, httpx.TransportError):
                raise piece
            return piece

        def close(self) -> None:
            self._wire.closed += 1


async def test_an_httpx_request_is_handed_on_without_its_framing() -> None:
    """Address, method, headers and time-outs are those of the request; its length is the wire's own business."""
    wire = Scripted([b"hel", b"lo"])
    async with httpx.AsyncClient(transport=wire, timeout=httpx.Timeout(7, connect=3)) as client:
        reply = await client.post("http://[::1]:8080/a%20b?c=%2F", content=b"{}", headers={"x-test": "1"})
    assert (reply.text, reply.headers.get_list("x-was"), wire.closed) == ("hello", ["1", "2"], 1)
    (sent,) = wire.sent
    assert (sent.origin, sent.method, sent.target) == (Origin("http", "::1", 8080), "POST", b"/a%20b?c=%2F")
    assert (sent.body, sent.connect_s, sent.answer_s) == (b"{}", 3, 7)
    names = [name.lower() for name, _ in sent.headers]
    assert b"host" in names and b"x-test" in names
    assert b"content-length" not in names


async def test_a_streamed_request_stays_a_stream() -> None:
    """What the wire does with it is its own decision."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"in pieces"

    wire = Scripted([])
    async with httpx.AsyncClient(transport=wire) as client:
        await client.post("http://a", content=pieces())
    (sent,) = wire.sent
    assert not isinstance(sent.body, bytes)
    assert [piece async for piece in sent.body] == [b"in pieces"]


@pytest.mark.parametrize("before", [True, False], ids=["before the answer", "in its body"])
async def test_an_error_names_its_request(before: bool) -> None:
    """httpx promises ``error.request``."""
    failure = httpx.ReadError("lost")
    async with httpx.AsyncClient(transport=Scripted([b"a", failure], failure if before else None)) as client:
        sent = client.build_request("GET", "http://a/b")
        with pytest.raises(httpx.ReadError) as raised:
            await client.send(sent)
    assert raised.value.request is sent


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://a/v1", Origin("http", "a", 80)),
        ("https://a/v1", Origin("https", "a", 443)),
        ("http://user:key@A.example:81", Origin("http", "a.example", 81)),
        ("http://[::1]:81", Origin("http", "::1", 81)),
        ("http://bücher.example", Origin("http", "xn--bcher-kva.example", 80)),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, origin: Origin) -> None:
    """Whatever else an address holds, credentials above all, is not part of it."""
    assert Origin.of(httpx.URL(url)) == origin


def test_the_representation_of_a_request_holds_no_secret() -> None:
    """Neither headers nor query nor body are shown."""
    sent = Request(
        origin=Origin("http", "a", 80),
        method="POST",
        target=b"/v1?key=sk-secret",
        headers=((b"authorization", b"Bearer sk-secret"),),
        body=b"sk-secret",
    )
    assert "sk-secret" not in repr(sent)
