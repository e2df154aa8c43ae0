"""A file for the exchanges that could not be written before the process ended: JSON lines, one exchange each.

Only appended to and read as a whole. The reader may see an exchange twice (``Store.record`` skips what it knows) and a
last line that a crash cut off (skipped). Several processes on one folder append to a file each, and any of them takes
up what another left behind: whoever holds a file's lock, which is the kernel's, has it.
"""

import contextlib
import fcntl
import logging
import os
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import BinaryIO

import msgspec

from gateway.domain import Exchange

log = logging.getLogger(__name__)


class Spool:
    """The file at ``path``, which need not exist. Raises ``OSError`` as the file system does."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, exchanges: Iterable[Exchange]) -> int:
        """Add exchanges and wait until they are on the disk. Returns how many; one that is no JSON is left out."""
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
        """A file to append to, locked: this one, or one beside it while another process has this one."""
        for number in count():
            path = self.path if number == 0 else self.path.with_stem(f"{self.path.stem}-{number}")
            opened = _locked(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            if opened is not None:
                return os.fdopen(opened, "wb")
        raise AssertionError("there is no end of numbers")

    def left(self) -> list["Spool"]:
        """This file and those beside it, as far as they are there."""
        return [Spool(path) for path in sorted(self.path.parent.glob(f"{self.path.stem}*{self.path.suffix}"))]

    @contextlib.contextmanager
    def taken(self) -> Iterator[bool]:
        """Whether nobody else has the file. While the context is open, nobody else will."""
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
        """Every whole exchange in the file, in order; nothing if there is no file."""
        if not self.path.exists():
            return
        decoder = msgspec.json.Decoder(Exchange)
        with self.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.isspace():
                    continue
                try:
                    yield decoder.decode(line)
                except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                    where = f"{self.path}, line {number}"
                    log.warning("%s: not an exchange, skipped", where, extra={"action": "spool_line_skipped"})

    def remove(self) -> None:
        """Delete the file."""
        self.path.unlink(missing_ok=True)


def _locked(path: Path, flags: int) -> int | None:
    """An open file with the lock on it; ``None`` if another process has it, or has just removed it."""
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
