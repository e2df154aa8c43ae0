"""The listening socket, bound before anything else starts: a port in use is reported in one line.

Several processes listen on one address with a socket each, and Linux spreads new connections by a hash of their
addresses. A shared socket spreads worse: of 64 connections at once, the busier of two processes got 36 to 60 in ten
runs, with a socket each 32 to 40 (``tests.bench.gateway.spread``).
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator

from gateway.errors import PreceptorError

BACKLOG = 2048
AT_ONCE = 16
"""New connections that one turn of the event loop accepts."""


class PortTaken(PreceptorError):
    """The address cannot be listened on."""


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket. Raises ``PortTaken`` with a remedy."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol given, asyncio sets TCP_NODELAY on accepted connections: small answers leave at once.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        # A refused port shows only here when another process listens with SO_REUSEADDR.
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise PortTaken(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another with --port or server.port"
        ) from error
    return listener


def share(listener: socket.socket) -> None:
    """Allow more sockets of the same user on this one's address. It was bound alone, so the port is ours."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)


def beside(family: int, address: tuple[object, ...]) -> socket.socket:
    """Return another socket on a shared address; connections arrive after ``listen``. Raises ``OSError``."""
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        share(listener)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


def accept_many(listener: socket.socket, protocol: Callable[[], asyncio.Protocol]) -> Callable[[], None]:
    """Accept up to ``AT_ONCE`` connections a turn of the running event loop; returns the function that ends it.

    The loop's own server (libuv 1.45 and newer) accepts one a turn. In a turn each busy connection may be answered, so
    of 256 new ones the last would wait for a hundred answers of every other.
    """
    loop, door = asyncio.get_running_loop(), listener.dup()
    opening = set[asyncio.Task[None]]()

    async def open_one(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the client has left again
            await loop.connect_accepted_socket(protocol, connection)

    def take() -> None:
        for connection in _waiting(door):
            task = loop.create_task(open_one(connection))
            opening.add(task)
            task.add_done_callback(opening.discard)

    def end() -> None:
        if door.fileno() >= 0:
            loop.remove_reader(door)
            door.close()

    door.setblocking(False)
    loop.add_reader(door, take)
    return end


def _waiting(door: socket.socket) -> Iterator[socket.socket]:
    """Accept connections that wait; none while there is an error, such as too many open files."""
    for _ in range(AT_ONCE):
        try:
            connection, _address = door.accept()
        except OSError:
            return
        # asyncio's own server does the same.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield connection
