"""Frames: bodies come out as they went in, and the end of the other side is the end of them."""

import asyncio
import socket

from hypothesis import given
from hypothesis import strategies as st

from gateway.framing import cut, framed, head, received


def reading(data: bytes) -> asyncio.StreamReader:
    """A reader at whose end nothing more comes."""
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return reader


@given(bodies=st.lists(st.binary(max_size=300), max_size=5))
def test_bodies_come_out_as_they_went_in(bodies: list[bytes]) -> None:
    """Empty ones, too; then comes the end."""

    async def come_out() -> list[bytes | None]:
        reader = reading(b"".join(map(framed, bodies)))
        return [await received(reader) for _ in range(len(bodies) + 1)]

    assert asyncio.run(come_out()) == [*bodies, None]


@given(kept=st.integers(0, 8))
async def test_a_frame_that_was_cut_off_is_the_end(kept: int) -> None:
    """The other side died in the middle of it."""
    assert await received(reading(framed(b"hello")[:kept])) is None


def test_a_body_can_be_written_in_pieces() -> None:
    """Behind the head of them all."""
    assert framed(b"hello") == head(5) + b"hel" + b"lo"


async def test_a_connection_is_cut_at_once() -> None:
    """Whatever nobody has read of it."""
    ours, its = socket.socketpair()
    with its:
        _, writer = await asyncio.open_connection(sock=ours)
        writer.write(b"x" * 10_000_000)
        async with asyncio.timeout(10):
            await cut(writer)
