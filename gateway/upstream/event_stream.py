"""The events of a streamed reply, also where a server has answered with a whole one."""

from collections.abc import AsyncIterator, Callable, Sequence

from gateway.errors import UpstreamGarbage
from gateway.formats import sse
from gateway.upstream.base import UpstreamReply


async def events_of(
    reply: UpstreamReply, upstream: str, replayed: Callable[[bytes], Sequence[bytes]]
) -> AsyncIterator[bytes]:
    """Yield the events of a reply as they came. ``replayed`` makes events of a whole reply's body.

    Some servers do not stream, or not on every endpoint, and answer as if nobody had asked for it.
    Raises ``UpstreamGarbage`` for a body that is neither.
    """
    events = sse.Events()
    pieces = reply.chunks()
    is_stream = "text/event-stream" in reply.headers.get("content-type", "")
    async for piece in pieces:
        if not is_stream and not sse.looks_like_events(piece):
            if not piece.lstrip().startswith(b"{"):
                raise UpstreamGarbage(f"upstream {upstream!r} did not answer with a stream")
            for event in replayed(b"".join([piece, *[more async for more in pieces]])):
                yield event
            return
        is_stream = True
        for event in events.feed(piece):
            yield event
    rest = sse.data_of(events.end())
    if rest is not None:
        yield sse.event_of(rest)
