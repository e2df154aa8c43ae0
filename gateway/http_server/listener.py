"""The socket that clients connect to: bound before anything else starts, so that a port in use is said in one line.

Several processes listen on one address with a socket each, and Linux deals new connections out by a hash of their ends.
With one socket for all of them, whoever wakes up first takes what waits: of 64 connections that came at once, the
busier of two processes got 36 to 60 in ten runs, with a socket each 32 to 40 (``tests.bench.gateway.spread``).
"""

import socket

from gateway.errors import PreceptorError

BACKLOG = 2048


class PortTaken(PreceptorError):
    """The address cannot be listened on."""


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises ``PortTaken`` with what to do."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With its protocol named, asyncio sends small answers at once (TCP_NODELAY) on what it accepts here.
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
    """Let more sockets of the same user listen beside this one. It was bound alone, so nobody else has the port."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)


def beside(family: int, address: tuple[object, ...]) -> socket.socket:
    """One more socket on a shared address. It gets connections once it listens. Raises ``OSError``."""
    one = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        share(one)
        one.bind(address)
    except OSError:
        one.close()
        raise
    return one
