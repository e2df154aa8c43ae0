"""An address changes hands with its sockets: connections that wait in their queue are lost on nobody."""

import asyncio
import contextlib
import socket
import stat
from pathlib import Path

import pytest

from gateway.http_server.listener import bind
from gateway.serving.handover import HandoverFailed, inherit, offering


def port_of(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])


def names(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


async def test_without_a_running_gateway_there_is_nothing_to_inherit(tmp_path: Path) -> None:
    """Neither in an empty folder, nor in one that is not there, nor from one that has ended."""
    listener = bind("127.0.0.1", 0)
    async with offering(tmp_path, port_of(listener), lambda: [listener], lambda: None):
        assert inherit(tmp_path, 1) is None
    assert inherit(tmp_path, port_of(listener)) is None
    assert inherit(tmp_path / "nowhere", port_of(listener)) is None
    listener.close()


async def test_a_connection_in_the_queue_is_accepted_by_the_heir(tmp_path: Path) -> None:
    """The old gateway hears once that the other one serves, and then closes its own copy."""
    left = asyncio.Event()
    listener = bind("127.0.0.1", 0)
    port = port_of(listener)
    async with offering(tmp_path, port, lambda: [listener], left.set):
        inherited = await asyncio.to_thread(inherit, tmp_path, port)
        assert inherited is not None and not left.is_set()
        with contextlib.closing(socket.create_connection(("127.0.0.1", port))) as client:
            inherited.serving()
            async with asyncio.timeout(30):
                await left.wait()
            listener.close()
            (heir,) = inherited.listeners
            heir.settimeout(5)
            accepted, _ = await asyncio.to_thread(heir.accept)
            assert accepted.getpeername() == client.getsockname() and not heir.get_inheritable()
            accepted.close()
            heir.close()


async def test_the_socket_s_file_goes_with_its_gateway(tmp_path: Path) -> None:
    """The heir has a file of its own by then, and keeps it."""
    listener = bind("127.0.0.1", 0)
    port = port_of(listener)
    async with contextlib.AsyncExitStack() as heir:
        async with offering(tmp_path, port, lambda: [listener], lambda: None):
            await heir.enter_async_context(offering(tmp_path, port, lambda: [listener], lambda: None))
        assert names(tmp_path) == [f"handover-{port}"]
    assert names(tmp_path) == []
    listener.close()


async def test_an_heir_that_cannot_start_changes_nothing(tmp_path: Path) -> None:
    """The next one may try."""
    listener = bind("127.0.0.1", 0)
    async with offering(tmp_path, port_of(listener), lambda: [listener], pytest.fail):
        for _ in range(2):
            inherited = await asyncio.to_thread(inherit, tmp_path, port_of(listener))
            assert inherited is not None
            inherited._connection.close()
            inherited.listeners[0].close()
    listener.close()


async def test_a_gateway_that_stops_has_nothing_to_leave(tmp_path: Path) -> None:
    """Whoever asks is told so in one line."""
    async with offering(tmp_path, 1, list, pytest.fail):
        with pytest.raises(HandoverFailed, match="about to stop"):
            await asyncio.to_thread(inherit, tmp_path, 1)


async def test_the_way_is_open_to_the_same_user_only(tmp_path: Path) -> None:
    """A longer path than a socket's address may have is fine; a folder that cannot be used is a warning."""
    folder = tmp_path / ("long" * 40)
    folder.mkdir()
    async with offering(folder, 1, list, pytest.fail):
        assert stat.S_IMODE((folder / "handover-1").stat().st_mode) == 0o600
    async with offering(tmp_path / "nowhere", 1, list, pytest.fail):
        pass
