"""The listener: a port in use is said in one line, and several sockets on one address share its connections."""

import contextlib
import socket

import pytest

from gateway.http_server.listener import PortTaken, beside, bind, share


def test_a_free_port_is_listened_on_at_once() -> None:
    """Port 0 takes any; a client can connect before the first request is served."""
    with contextlib.closing(bind("127.0.0.1", 0)) as listener:
        socket.create_connection(listener.getsockname(), timeout=1).close()


def test_a_taken_port_is_said_in_one_line() -> None:
    """With the address and what to do."""
    with contextlib.closing(bind("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"127\.0\.0\.1:{port}: Address already in use; choose another") as raised:
            bind("127.0.0.1", port)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("host", ["203.0.113.1", "no-such-host.invalid"])
def test_an_address_that_is_not_here_is_said_in_one_line(host: str) -> None:
    """An address of another machine, and a name that nobody knows."""
    with pytest.raises(PortTaken, match=host):
        bind(host, 0)


def test_a_port_is_free_again_right_after_its_server() -> None:
    """A restart does not wait for old connections to time out."""
    with contextlib.closing(bind("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        served, _ = first.accept()
        served.close()
    bind("127.0.0.1", port).close()
    client.close()


def test_connections_are_dealt_out_to_sockets_beside_each_other() -> None:
    """Each gets some of 64: that one gets none has a chance of 2 in 2^64. One that does not listen yet gets none."""
    with contextlib.closing(bind("127.0.0.1", 0)) as first:
        share(first)
        with contextlib.closing(beside(first.family, first.getsockname())) as second:
            assert accepted(first, 64) == 64
            second.listen()
            assert 0 < accepted(first, 64) < 64


def test_a_shared_address_is_still_taken() -> None:
    """A second gateway on the same port is refused, though the first would let its own workers in."""
    with contextlib.closing(bind("127.0.0.1", 0)) as first:
        share(first)
        with pytest.raises(PortTaken):
            bind("127.0.0.1", first.getsockname()[1])


def accepted(listener: socket.socket, clients: int) -> int:
    """How many of so many new connections a listener gets."""
    opened = [socket.create_connection(listener.getsockname(), timeout=1) for _ in range(clients)]
    listener.setblocking(False)
    found = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            listener.accept()[0].close()
            found += 1
    for client in opened:
        client.close()
    return found
