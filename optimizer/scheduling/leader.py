"""Which of several processes on a data folder learns: the one that holds a lock, for as long as it lives.

The lock is the kernel's, on an open file: a killed process lets go of it. On a network file system a lock can be lost
without a word, and two may believe that they lead. Nothing rests on the lock but economy: what they decide, they decide
by compare and set on a task's history (``Store.activate``), and what they learn, the store keeps once.
"""

import fcntl
import logging
import os
import threading
from pathlib import Path

from gateway.errors import PreceptorError

log = logging.getLogger(__name__)


class AnotherLeads(PreceptorError):
    """This process was asked for what only the one that leads may do."""

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
        """Whether the last claim held."""
        return self._held is not None

    def claim(self) -> bool:
        """Whether this process leads: it does already, or nobody else does. Ask again at every turn.

        An error of the file system means that it does not; the log says so once. A lock on a file that somebody has
        removed or replaced is given up, because the next process would lock another one.
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
    """An open file with the lock on it, ``None`` if somebody else has that. Raises ``OSError``."""
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
