"""The hand-over of an address from a running gateway to a new one: the listening sockets themselves change hands.

New connections wait in the kernel's queue of a socket, not of a process: whoever has the socket may accept them. While
both gateways have it, both accept; the old one closes its copy, and the queue is left to the new one. No connection is
refused or reset. The way is a socket in the data folder, open to the user of the gateway only.
"""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

from gateway.errors import PreceptorError

log = logging.getLogger(__name__)

_MOST = 256
"""Most listening sockets that change hands."""
_SERVING = b"serving"


class HandoverFailed(PreceptorError):
    """The running gateway did not hand its address over."""


class Inheritance:
    """The listening sockets of a running gateway, which serves on until ``serving`` is called."""

    def __init__(self, listeners: Sequence[socket.socket], connection: socket.socket) -> None:
        self.listeners = listeners
        self._connection = connection

    def serving(self) -> None:
        """Tell the other gateway that this one serves: it finishes its requests and ends."""
        with self._connection, contextlib.suppress(OSError):
            self._connection.sendall(_SERVING)


def inherit(folder: Path, port: int, timeout_s: float = 5.0) -> Inheritance | None:
    """Ask the gateway that serves a port for its listening sockets; ``None`` without such a gateway.

    Blocks; raises ``HandoverFailed``.
    """
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(timeout_s)
    try:
        with _address(folder, port) as path:
            connection.connect(path)
        _, descriptors, _, _ = socket.recv_fds(connection, 1, _MOST)
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    except OSError as error:
        connection.close()
        raise HandoverFailed(f"the running gateway does not hand port {port} over: {error}") from error
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    listeners = [socket.socket(proto=socket.IPPROTO_TCP, fileno=descriptor) for descriptor in descriptors]
    if not listeners:
        connection.close()
        raise HandoverFailed(f"the running gateway is about to stop and has port {port} no more: start again")
    return Inheritance(listeners, connection)


@contextlib.asynccontextmanager
async def offering(
    folder: Path, port: int, listeners: Callable[[], Sequence[socket.socket]], leave: Callable[[], None]
) -> AsyncIterator[None]:
    """Hand the listening sockets to whoever asks; ``leave`` is called once the other gateway serves."""
    try:
        listener, file = _bound(folder, port)
    except OSError as error:
        log.warning("a new gateway cannot take this address over: %s", error, extra={"action": "handover.off"})
        yield
        return
    with listener:
        task = asyncio.create_task(_offer(listener, listeners, leave))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            _remove(folder, port, file)


async def _offer(
    listener: socket.socket, listeners: Callable[[], Sequence[socket.socket]], leave: Callable[[], None]
) -> None:
    loop = asyncio.get_running_loop()
    while True:
        connection, _ = await loop.sock_accept(listener)
        with connection, contextlib.suppress(OSError):
            connection.setblocking(False)
            socket.send_fds(connection, [b"!"], [offered.fileno() for offered in listeners()])
            # It takes its time to start; if it cannot, the connection ends without a word.
            if await loop.sock_recv(connection, len(_SERVING)) == _SERVING:
                log.info("another gateway has taken this address over", extra={"action": "handover.done"})
                leave()


def _bound(folder: Path, port: int) -> tuple[socket.socket, int]:
    """Return a listening socket and the inode of its file."""
    listener = socket.socket(socket.AF_UNIX)
    try:
        with _address(folder, port) as path:
            Path(path).unlink(missing_ok=True)  # of a gateway that ended, or that hands over to this one
            listener.bind(path)
            Path(path).chmod(0o600)
            file = Path(path).stat().st_ino
        listener.listen()
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener, file


def _remove(folder: Path, port: int, file: int) -> None:
    """Remove the socket's file, unless the gateway that took over has put its own there."""
    path = folder / f"handover-{port}"
    with contextlib.suppress(OSError):
        if path.stat().st_ino == file:
            path.unlink()


@contextlib.contextmanager
def _address(folder: Path, port: int) -> Iterator[str]:
    """Yield a short path of the socket: an address has 107 bytes at most. Raises ``OSError``. For Linux."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        yield f"/proc/self/fd/{opened}/handover-{port}"
    finally:
        os.close(opened)
