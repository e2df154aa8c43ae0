"""A lock of a session of Postgres: one holder, who loses it by dying. With a real server."""

import signal
import subprocess
import sys
import time

import pytest

from gateway.errors import StoreError
from gateway.store.session_lock import SessionLock
from tests.postgres import PostgresServer

LIMIT_S = 60.0
HOLD = """
import sys, time
from gateway.store.session_lock import SessionLock
lock = SessionLock(sys.argv[1])
while not lock.hold():
    time.sleep(0.02)
print("leads", flush=True)
time.sleep(600)
"""


def test_the_first_holds_until_it_lets_go(address: str) -> None:
    """A second one stands back and asks again."""
    first, second = SessionLock(address), SessionLock(address)
    assert first.hold() and first.hold() and not second.hold()
    first.release()
    assert second.hold() and not first.hold()
    first.release()
    second.release()


def test_a_killed_holder_is_replaced_ten_times(address: str) -> None:
    """Each time by another, and never are there two."""
    spectator = SessionLock(address)
    for _ in range(10):
        with subprocess.Popen([sys.executable, "-c", HOLD, address], stdout=subprocess.PIPE, text=True) as holder:  # noqa: S603
            assert holder.stdout is not None and holder.stdout.readline() == "leads\n"
            assert not spectator.hold()
            holder.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + LIMIT_S
    while not spectator.hold():
        assert time.monotonic() < deadline
    spectator.release()


def test_a_holder_whose_session_was_ended_knows_it(address: str, postgres: PostgresServer) -> None:
    """It says so at its next look, and may hold again."""
    lock = SessionLock(address)
    assert lock.hold()
    postgres.run("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted")
    with pytest.raises(StoreError, match=r"cannot be reached|is shutting down"):
        lock.hold()
    assert lock.hold()
    lock.release()
