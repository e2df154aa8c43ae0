"""The server on loopback: its connections are served one by one, and end with it."""

import asyncio
from urllib.parse import urlsplit

from optimizer.demo.loopback import loopback_server


async def test_connections_end_with_the_server() -> None:
    """A handler that waits for ever is cancelled; the client sees the end of its connection."""
    begun = asyncio.Event()

    async def waits(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        begun.set()
        await reader.read()

    async with loopback_server(waits) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
        await begun.wait()
    assert await reader.read() == b""
    writer.close()


async def test_a_hang_up_disturbs_no_other_connection() -> None:
    """The handler of a lost connection ends silently; the next client is served."""

    async def echoes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(4))
        await writer.drain()

    async with loopback_server(echoes) as url:
        _, gone = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
        gone.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
        writer.write(b"ping")
        assert await reader.read() == b"ping"
        writer.close()
