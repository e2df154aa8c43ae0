"""A file for the exchanges that could not be written before the process ended: JSON lines, one exchange each.

Only appended to and read as a whole. The reader may see an exchange twice (``Store.record`` skips what it knows) and a
last line that a crash cut off (skipped).
"""

import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

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
        private = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)  # prompts lie in it
        with os.fdopen(private, "wb") as file:
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
