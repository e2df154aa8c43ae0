"""A connection to Valkey: what goes over the wire, and what happens when it ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.quotas.resp import CountersAway, ValkeyConnection
from optimizer.demo.loopback import loopback_server


@asynccontextmanager
async def answering(answers: bytes, heard: bytearray | None = None) -> AsyncIterator[ValkeyConnection]:
    """A connection to a server that answers the first bytes that it gets."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got = await reader.read(65_536)
        if heard is not None:
            heard.extend(got)
        writer.write(answers)
        await reader.read()

    async with loopback_server(serve) as url:
        connection = ValkeyConnection(url.replace("http://", "valkey://").replace("/v1", ""))
        await connection.connect()
        yield connection
        await connection.aclose()


@pytest.mark.parametrize(
    ("answer", "value"),
    [(b"+OK\r\n", b"OK"), (b":-7\r\n", -7), (b"$5\r\nhello\r\n", b"hello"), (b"$-1\r\n", None),
     (b"*3\r\n:1\r\n$1\r\na\r\n*0\r\n", [1, b"a", []])],
)  # fmt: skip
async def test_an_answer_is_read_and_a_command_is_sent(answer: bytes, value: object) -> None:
    """Each word with its length."""
    heard = bytearray()
    async with answering(answer, heard) as connection, asyncio.timeout(30):
        assert await connection.send("SET", "ä", 12) == value
    assert bytes(heard) == b"*3\r\n$3\r\nSET\r\n$2\r\n\xc3\xa4\r\n$2\r\n12\r\n"


async def test_an_error_fails_its_own_command_only() -> None:
    """The next one gets its own answer."""
    async with answering(b"-ERR no\r\n:5\r\n") as connection, asyncio.timeout(30):
        first, second = connection.send("A"), connection.send("B")
        with pytest.raises(CountersAway, match="ERR no"):
            await first
        assert await second == 5


@pytest.mark.parametrize("answer", [b"", b"?\r\n", b":x\r\n", b"$5\r\nab"])
async def test_a_broken_connection_fails_what_waits(answer: bytes) -> None:
    """And every command after it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(answer)

    async with loopback_server(serve) as url, asyncio.timeout(30):
        connection = ValkeyConnection(url.replace("http://", "valkey://").replace("/v1", ""))
        await connection.connect()
        with pytest.raises(CountersAway):
            await connection.send("A")
        assert not connection.open
        with pytest.raises(CountersAway):
            connection.send("B")


async def test_a_cancellation_while_it_ends_is_not_lost() -> None:
    """Else the loop that keeps the connection would go on, and a gateway that stops would wait for it for ever."""
    async with answering(b"+OK\r\n") as connection:
        ending = asyncio.create_task(connection.aclose())
        await asyncio.sleep(0)
        ending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ending


async def test_nobody_there_is_an_error_without_the_password() -> None:
    """The log shows it."""
    with pytest.raises(CountersAway) as caught:
        await ValkeyConnection("valkey://:secret@127.0.0.1:9").connect()
    assert "secret" not in str(caught.value)


async def test_a_password_and_a_database_go_first() -> None:
    """Decoded."""
    heard = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while got := await reader.read(100):
            heard.extend(got)
            writer.write(b"+OK\r\n" * got.count(b"*"))

    async with loopback_server(serve) as url, asyncio.timeout(30):
        connection = ValkeyConnection(url.replace("http://", "valkey://me:p%40ss@").replace("/v1", "/2"))
        await connection.connect()
        while b"SELECT" not in heard:
            await asyncio.sleep(0.01)
        await connection.aclose()
    assert b"AUTH" in heard and b"\r\np@ss\r\n" in heard
