"""Starts the recorder of a gateway or of several workers, and connects to it; starts and connects anew on request."""

import asyncio
import contextlib
import logging
import os
import socket
import sys
from asyncio import StreamReader, StreamWriter
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Final

from gateway.background import Background
from gateway.child_process import ended, manner
from gateway.errors import StoreError
from gateway.framing import cut
from gateway.settings import child_environment

log = logging.getLogger(__name__)

CHILD: Final = (sys.executable, "-P", "-m", "gateway.store.recorder.child")
"""Without the working directory on its path (``-P``): a folder there must not be run instead of this package."""
STOP_S: Final = 8.0
"""Seconds for the recorder to store or to spool the rest and to end by itself."""
SOCKET: Final = "recorder"
"""Name of the socket of a shared recorder, in a folder that is private to the user."""
_PAUSES_S: Final = (0.1, 5.0)


@contextlib.asynccontextmanager
async def own_recorder(
    data_dir: Path, store: str | None = None, *, command: Sequence[str] = CHILD, stop_s: float = STOP_S
) -> AsyncIterator[tuple[StreamReader, StreamWriter]]:
    """Start a recorder for this process alone; it ends with the context. Raises ``StoreError`` if it cannot start.

    ``store`` is the setting ``server.store``.
    """
    with contextlib.ExitStack() as stack:
        ours, its = map(stack.enter_context, socket.socketpair())
        reader, writer = await asyncio.open_connection(sock=ours)
        try:
            process = await asyncio.create_subprocess_exec(
                *command, str(data_dir), "connection", str(its.fileno()), stdin=stack.enter_context(_stdin(store)),
                pass_fds=[its.fileno()], env=child_environment(),
            )  # fmt: skip
        except OSError as error:
            await cut(writer)
            raise StoreError(f"the process that records cannot be started: {error}") from error
        its.close()  # it is the child's alone: its end is seen here
        log.info("a process of its own records", extra={"action": "recorder.begins", "pid": process.pid})
        try:
            yield reader, writer
        finally:
            await cut(writer)
            code = await ended(process, stop_s)
            if code != 0:
                log.error("the process that records ended (%s)", manner(code), extra={"action": "recorder.ended"})


@contextlib.asynccontextmanager
async def shared_recorder(folder: Path) -> AsyncIterator[tuple[StreamReader, StreamWriter]]:
    """Connect to the recorder of the supervisor, through its socket in a folder. Raises ``StoreError``."""
    try:
        with _short(folder) as path:
            reader, writer = await asyncio.open_unix_connection(path)
    except OSError as error:
        raise StoreError(f"the process that records cannot be reached: {error.strerror}") from error
    try:
        yield reader, writer
    finally:
        await cut(writer)


@contextlib.asynccontextmanager
async def recorder_for_workers(
    data_dir: Path, folder: Path, store: str | None = None, *, command: Sequence[str] = CHILD, stop_s: float = STOP_S
) -> AsyncIterator[None]:
    """Keep a recorder on a socket in a folder while the context is open. Raises ``OSError`` for an unusable folder."""
    with socket.socket(socket.AF_UNIX) as listener, _short(folder) as path:
        listener.bind(path)
        listener.listen()

        async def keep() -> None:
            process = await asyncio.create_subprocess_exec(
                *command, str(data_dir), "listener", str(listener.fileno()), stdin=PIPE, pass_fds=[listener.fileno()],
                env=child_environment(), process_group=0,
            )  # fmt: skip
            assert process.stdin is not None, "it is a pipe"
            process.stdin.write(_line(store))
            log.info("a process of its own records", extra={"action": "recorder.begins", "pid": process.pid})
            try:
                code = await process.wait()
                raise StoreError(f"the process that records ended ({manner(code)})")
            finally:
                process.stdin.close()
                await ended(process, stop_s)

        async with Background().running("recorder", keep, pauses_s=_PAUSES_S):
            yield


def _line(store: str | None) -> bytes:
    """Return the recorder's first line. It may hold a password: on stdin no other process sees it."""
    return f"{store or ''}\n".encode()


@contextlib.contextmanager
def _stdin(store: str | None) -> Iterator[int]:
    """Yield a descriptor from which the first line is read."""
    reading, writing = os.pipe()
    os.write(writing, _line(store))
    os.close(writing)
    try:
        yield reading
    finally:
        os.close(reading)


@contextlib.contextmanager
def _short(folder: Path) -> Iterator[str]:
    """Yield a short path of the socket in a folder: the address of a socket has 107 bytes at most. For Linux."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        yield f"/proc/self/fd/{opened}/{SOCKET}"
    finally:
        os.close(opened)
