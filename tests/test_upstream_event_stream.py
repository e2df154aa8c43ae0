"""Events of a reply, of a server that streams and of a server that does not."""

import pytest

from gateway.errors import UpstreamGarbage
from gateway.upstream.event_stream import events_of
from tests.fakes import FakeReply

EVENTS = [b"data: a\n\n", b"data: b\n\n"]


async def told(*pieces: bytes, kind: str = "") -> list[bytes]:
    reply = FakeReply(200, pieces, {"content-type": kind})
    return [event async for event in events_of(reply, "mock", lambda body: [b"replayed: " + body])]


@pytest.mark.parametrize("pieces", [[b"data: a\n\ndata: b\n\n"], [b"da", b"ta: a\n", b"\ndata: b"]])
@pytest.mark.parametrize("kind", ["", "text/event-stream", "application/json"])
async def test_events_are_known_by_their_bytes(pieces: list[bytes], kind: str) -> None:
    """However they are cut, and without the last blank line."""
    assert await told(*pieces, kind=kind) == EVENTS


async def test_a_whole_reply_is_replayed() -> None:
    """It is read to its end first."""
    assert await told(b' {"id":', b"1}", kind="application/json") == [b'replayed:  {"id":1}']


async def test_anything_else_is_garbage() -> None:
    """An error page, for instance."""
    with pytest.raises(UpstreamGarbage, match="did not answer with a stream"):
        await told(b"<html>")
