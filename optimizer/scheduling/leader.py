"""Leadership on a data folder: of several processes, the holder of a file lock learns, for as long as it lives.

The lock is the kernel's, on an open file: a killed process lets go of it. On a network file system a lock can be lost
silently, and two processes may believe that they lead. The lock only saves work. Decisions are made by compare and set
on a task's history (``Store.activate``), and the store keeps each result once.
"""

import fcntl
import logging
import os
import threading
from pathlib import Path

from gateway.errors import PreceptorError

log = logging.getLogger(__name__)


class AnotherLeads(PreceptorError):
    """Another process leads on the data folder, and this one must not work."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(
            f"nothing was done: another process leads on {data_dir} (a gateway, or 'preceptor optimize') and looks by"
            " itself; stop it, or set optimizer.enabled = false in its configuration"
        )


class Leader:
    """A process's claim to lead on a data folder. May be used from any thread; ``claim`` and ``release`` block."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._path = data_dir / "optimizer.lock"
        self._lock = threading.Lock()
        self._held: int | None = None
        self._failure = ""

    @property
    def leads(self) -> bool:
        """True if the last claim held."""
        return self._held is not None

    def claim(self) -> bool:
        """Claim the lead, or keep it, and return the result. Call it again at every turn.

        An error of the file system means no lead; the log says so once. A lock on a removed or replaced file is given
        up, because the next process would lock another file.
        """
        with self._lock:
            before = self.leads
            try:
                if self._held is not None and not _is_at(self._held, self._path):
                    self._let_go()
                if self._held is None:
                    self._held = _locked(self._path)
            except OSError as error:
                self._let_go()
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
            raise AnotherLeads(self._data_dir)

    def release(self) -> None:
        """Let another process lead."""
        with self._lock:
            self._let_go()

    def _let_go(self) -> None:
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
