"""A file for exchanges that the store did not take before the process ended: JSON lines, one exchange each.

It is appended to, or read as a whole. A reader may see an exchange twice (``Store.record`` skips known ids) and a last
line cut off by a crash (skipped, and kept in a file beside it). Several processes on one folder append to a file each
and take up each other's files: the holder of the kernel's lock on a file owns it.
"""

import contextlib
import fcntl
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import BinaryIO

import msgspec

from gateway.domain import Exchange

log = logging.getLogger(__name__)

SPOOL = "spool.jsonl"
"""Name of the file in a gateway's data folder."""
UNREADABLE = ".unreadable"
"""Ending of the file beside a spool with the lines that nobody could read."""


class Spool:
    """The file at ``path``; it need not exist. Every method raises the file system's ``OSError``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._unreadable: list[bytes] = []

    def append(self, exchanges: Iterable[Exchange]) -> int:
        """Add exchanges and wait until they are on the disk. Returns their number, without those that are no JSON."""
        kept = 0
        with self._own() as file:
            file.write(b"\n")  # ends a line that an earlier crash cut off
            for exchange in exchanges:
                try:
                    line = msgspec.json.encode(exchange)
                except (UnicodeEncodeError, OverflowError):
                    log.warning("exchange %s cannot be written as JSON", exchange.id, extra={"action": "spool_refused"})
                    continue
                file.write(line + b"\n")
                kept += 1
            file.flush()
            os.fsync(file.fileno())
        return kept

    def _own(self) -> BinaryIO:
        """Open and lock a file to append to: this file, or a neighbour while another process holds this file."""
        for number in count():
            path = self.path if number == 0 else self.path.with_stem(f"{self.path.stem}-{number}")
            opened = _locked(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            if opened is not None:
                return os.fdopen(opened, "wb")
        raise AssertionError("there is no end of numbers")

    def left(self) -> list["Spool"]:
        """Return the existing files: this file and its neighbours."""
        return [Spool(path) for path in sorted(self.path.parent.glob(f"{self.path.stem}*{self.path.suffix}"))]

    @contextlib.contextmanager
    def taken(self) -> Iterator[bool]:
        """Lock the file; yields ``False`` if another process holds it."""
        try:
            opened = _locked(self.path, os.O_RDWR)
        except FileNotFoundError:
            opened = None
        try:
            yield opened is not None
        finally:
            if opened is not None:
                os.close(opened)

    def read(self) -> Iterator[Exchange]:
        """Yield every whole exchange in order; none without a file."""
        if not self.path.exists():
            return
        decoder = msgspec.json.Decoder(Exchange)
        self._unreadable.clear()
        with self.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.isspace():
                    continue
                try:
                    yield decoder.decode(line)
                except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                    where = f"{self.path}, line {number}"
                    log.warning("%s: not an exchange, skipped", where, extra={"action": "spool_line_skipped"})
                    self._unreadable.append(line)

    def remove(self) -> None:
        """Delete the file. Lines that nobody could read are kept beside it, for a person."""
        if self._unreadable:
            opened = os.open(self.path.with_suffix(UNREADABLE), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(opened, "wb") as file:
                file.writelines(self._unreadable)
        self.path.unlink(missing_ok=True)


def keep(spool: Spool | None, rest: Sequence[Exchange]) -> int:
    """Add exchanges that no store has taken; a failure is logged. Returns the number of lost exchanges."""
    if not rest:
        return 0
    kept = 0
    if spool is not None:
        try:
            kept = spool.append(rest)
        except OSError as error:
            log.warning("%s cannot be written: %s", spool.path, error, extra={"action": "spool_failed"})
    log.warning("%d exchanges spooled, %d lost", kept, len(rest) - kept, extra={"action": "writer_closed"})
    return len(rest) - kept


def _locked(path: Path, flags: int) -> int | None:
    """Open and lock a file; ``None`` if another process holds it or has just removed it."""
    opened = os.open(path, flags, 0o600)  # prompts lie in it
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(opened), path.stat()):
            return opened
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError:
        os.close(opened)
        raise
    os.close(opened)
    return None
