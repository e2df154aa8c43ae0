"""A connection to Valkey: commands one after the other, without waiting for each answer. Speaks RESP, version 2."""

import asyncio
from collections import deque
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from gateway.errors import PreceptorError

_LONGEST: Final = 2**20
"""Bytes of an answer at most; those of scripts are short."""


class CountersAway(PreceptorError):
    """Valkey cannot be reached, or answers with an error."""


class ValkeyConnection:
    """A connection by an address, ``valkey://[:password@]host:port/database``. For a single event loop."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None

    @property
    def open(self) -> bool:
        """Commands can be sent."""
        return self._writer is not None

    async def connect(self) -> None:
        """Connect, sign in and choose the database. Raises ``CountersAway``."""
        try:
            reader, self._writer = await asyncio.open_connection(
                self._url.hostname or "127.0.0.1", self._url.port or 6379, limit=_LONGEST
            )
        except OSError as error:
            raise CountersAway(f"the counters at {self._url.hostname} cannot be reached: {error}") from error
        self._reading = asyncio.create_task(self._read(reader))
        if self._url.password:
            user = [unquote(self._url.username)] if self._url.username else []
            await self.send("AUTH", *user, unquote(self._url.password))
        database = self._url.path.strip("/")
        if database:
            await self.send("SELECT", database)

    def send(self, *words: str | int) -> asyncio.Future[Any]:
        """Send a command; the future holds its answer. Raises ``CountersAway`` without a connection."""
        if self._writer is None:
            raise CountersAway("there is no connection to the counters")
        parts = [str(word).encode() for word in words]
        self._writer.write(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        answer.add_done_callback(_looked_at)
        self._waiting.append(answer)
        return answer

    async def _read(self, reader: asyncio.StreamReader) -> None:
        error: Exception = CountersAway("the counters have ended the connection")
        try:
            while True:
                answer = await _answer(reader)
                waiting = self._waiting.popleft()
                if waiting.done():
                    continue
                if isinstance(answer, CountersAway):
                    waiting.set_exception(answer)
                else:
                    waiting.set_result(answer)
        except (OSError, EOFError, ValueError, LookupError) as broken:
            error = CountersAway(f"the counters have ended the connection: {type(broken).__name__}")
        finally:
            self._end(error)

    def _end(self, error: Exception) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_exception(error)

    async def aclose(self) -> None:
        """End the connection; commands without an answer fail."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])  # its cancellation is not the caller's, which must get through


def _looked_at(answer: asyncio.Future[Any]) -> None:
    """Take the error of an answer that nobody waits for."""
    if not answer.cancelled():
        answer.exception()


async def _answer(reader: asyncio.StreamReader) -> Any:
    """Read an answer; an error is returned, not raised. Raises ``ValueError`` for anything else."""
    line = await reader.readuntil(b"\r\n")
    kind, text = line[:1], line[1:-2]
    match kind:
        case b"+":
            return text
        case b"-":
            return CountersAway(f"the counters refuse: {text.decode('utf-8', 'replace')}")
        case b":":
            return int(text)
        case b"$":
            size = int(text)
            return None if size < 0 else (await reader.readexactly(size + 2))[:-2]
        case b"*":
            return [await _answer(reader) for _ in range(max(0, int(text)))]
        case _:
            raise ValueError(kind)
