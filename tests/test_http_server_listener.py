"""The listener: a port in use is said in one line, and several sockets on one address share its connections."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest
import uvloop

from gateway.http_server.listener import AT_ONCE, PortTaken, accept_many, beside, bind, share


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


class Counted(asyncio.Protocol):
    """Counts connections."""

    made = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        type(self).made += 1
        assert transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@contextlib.asynccontextmanager
async def opened() -> AsyncIterator[tuple[socket.socket, asyncio.AbstractServer]]:
    """A listener on which a server of the event loop accepts connections, too."""
    Counted.made = 0
    listener = bind("127.0.0.1", 0)
    server = await asyncio.get_running_loop().create_server(Counted, sock=listener)
    yield listener, server
    server.close()


def clients(stack: contextlib.ExitStack, listener: socket.socket, count: int) -> list[socket.socket]:
    address = listener.getsockname()
    return [stack.enter_context(socket.create_connection(address, timeout=10)) for _ in range(count)]


def test_a_turn_of_the_loop_accepts_many_connections() -> None:
    """One a turn would let new connections wait for many answers of the busy ones."""
    count = 4 * AT_ONCE

    async def turns() -> int:
        taken = 0
        async with opened() as (listener, _):
            end = accept_many(listener, Counted)
            with contextlib.ExitStack() as stack:
                clients(stack, listener, count)
                while Counted.made < count:
                    taken += 1
                    await asyncio.sleep(0)
            end()
        return taken

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(turns()) < count / 4


def test_a_server_that_has_left_takes_no_connection() -> None:
    """They are for its successor, which listens on the same socket."""

    async def left_over() -> int:
        async with opened() as (listener, server):
            end = accept_many(listener, Counted)
            with contextlib.ExitStack() as stack:
                successor = stack.enter_context(listener.dup())
                end()
                end()
                server.close()
                clients(stack, successor, AT_ONCE)
                await asyncio.sleep(0.05)
                return accepted(successor, 0)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(left_over()) == AT_ONCE
        assert Counted.made == 0
