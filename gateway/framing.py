"""Frames on a socket between two processes of this package: each body behind its length. Knows no content."""

import asyncio
import contextlib
import struct

_LENGTH = struct.Struct(">I")


def head(length: int) -> bytes:
    """Return the bytes before a body of ``length`` bytes, less than 4 GiB."""
    return _LENGTH.pack(length)


def framed(body: bytes) -> bytes:
    """Return a body in its wire form."""
    return head(len(body)) + body


async def received(reader: asyncio.StreamReader) -> bytes | None:
    """Return the body of the next frame; ``None`` once the other side is gone."""
    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        return await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


async def cut(writer: asyncio.StreamWriter) -> None:
    """End the connection now, unsent data included."""
    writer.transport.abort()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
