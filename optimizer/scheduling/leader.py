"""Leadership on a store: of several processes, the holder of a lock learns, for as long as it lives.

On SQLite the lock is the kernel's, on an open file in the data folder; on Postgres it is the server's, and belongs to
a session. A killed process lets go of it. On a network file system, or for a moment behind a broken network, two
processes may believe that they lead. The lock only saves work. Decisions are made by compare and set on a task's
history (``Store.activate``), and the store keeps each result once.
"""

import fcntl
import logging
import os
import threading
from pathlib import Path
from typing import Protocol

from gateway.errors import PreceptorError, StoreError

log = logging.getLogger(__name__)


class AnotherLeads(PreceptorError):
    """Another process leads on the store, and this one must not work."""

    def __init__(self, place: str) -> None:
        super().__init__(
            f"nothing was done: another process leads on {place} (a gateway, or 'preceptor optimize') and looks by"
            " itself; stop it, or set optimizer.enabled = false in its configuration"
        )


class LeadLock(Protocol):
    """A lock with one holder, who loses it by dying."""

    def hold(self) -> bool:
        """Take the lock, or make sure that it is still held. Raises ``OSError`` and ``StoreError``."""

    def release(self) -> None: ...


class Leader:
    """A process's claim to lead on a store. May be used from any thread; ``claim`` and ``release`` block."""

    def __init__(self, data_dir: Path, store: str | None = None) -> None:
        """``store`` is the setting ``server.store``."""
        self._place = str(data_dir) if store is None else "server.store"
        self._held_by = _lock_of(data_dir, store)
        self._lock = threading.Lock()
        self._failure = ""
        self.leads = False
        """True if the last claim held."""

    def claim(self) -> bool:
        """Claim the lead, or keep it, and return the result. Call it again at every turn.

        An error of the file system or the server means no lead; the log says so once.
        """
        with self._lock:
            before = self.leads
            try:
                self.leads = self._held_by.hold()
            except (OSError, StoreError) as error:
                self.leads = False
                self._held_by.release()
                if str(error) != self._failure:
                    log.warning("this process cannot lead: %s", error, extra={"action": "leader.failed"})
                self._failure = str(error)
            else:
                self._failure = ""
                if self.leads and not before:
                    log.info("this process leads", extra={"action": "leader.turn"})
            return self.leads

    def insist(self) -> None:
        """Claim. Raises ``AnotherLeads``."""
        if not self.claim():
            raise AnotherLeads(self._place)

    def release(self) -> None:
        """Let another process lead."""
        with self._lock:
            self.leads = False
            self._held_by.release()


def _lock_of(data_dir: Path, store: str | None) -> LeadLock:
    if store is None:
        return FileLock(data_dir / "optimizer.lock")
    from gateway.store.session_lock import SessionLock  # its driver is an extra

    return SessionLock(store)


class FileLock:
    """The kernel's lock on a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held: int | None = None

    def hold(self) -> bool:
        """Implement ``LeadLock``. On a removed or replaced file it is given up: the next process locks another file."""
        if self._held is not None and not _is_at(self._held, self._path):
            self.release()
        if self._held is None:
            self._held = _locked(self._path)
        return self._held is not None

    def release(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            os.close(held)


def _locked(path: Path) -> int | None:
    """Return an open file with the lock on it, ``None`` if another process holds the lock. Raises ``OSError``."""
    opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(opened)
        return None
    except OSError:
        os.close(opened)
        raise
    return opened


def _is_at(opened: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(opened), path.stat())
    except FileNotFoundError:
        return False
