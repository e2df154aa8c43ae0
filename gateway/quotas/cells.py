"""Memory for counts shared by the workers of a gateway: a file per worker, written by its worker, read by all.

No lock is needed: a number of 8 bytes is written at once, and each file has a single writer. A worker started again
goes on with the file of the worker before, with nothing under way.
"""

import hashlib
import mmap
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from gateway.errors import PreceptorError
from gateway.quotas.window import BUCKETS

NAME, NEWEST, REQUESTS, TOKENS, IN_FLIGHT, PERIOD, SPENT, RESERVED = range(8)
REQUESTS_AT: Final = 8
TOKENS_AT: Final = REQUESTS_AT + BUCKETS
STORED: Final = TOKENS_AT + BUCKETS
SIZE: Final = 40
"""Numbers of a cell: the name's hash, the newest bucket, the totals of both windows, requests under way, the period
of the money, money spent and not stored yet, money reserved, all in nano dollars; both windows; money stored."""
COUNT: Final = 16_384
"""Cells of a worker; a file is sparse, so that only used ones take memory."""
SUFFIX: Final = ".quotas"

Cell = memoryview


class Cells:
    """The cells of worker ``number`` among ``workers`` in a folder private to the user.

    Raises ``OSError`` for an unusable folder.
    """

    def __init__(self, folder: Path, number: int, workers: int) -> None:
        self._files = [_opened(folder / f"{worker}{SUFFIX}") for worker in range(workers)]
        self._own = self._files[number]
        self._others = [file for worker, file in enumerate(self._files) if worker != number]
        self.first = number == 0
        """This worker reports what all have counted."""
        for at in range(0, COUNT * SIZE, SIZE):
            if not self._own[at + NAME]:
                continue
            self._own[at + IN_FLIGHT] = self._own[at + RESERVED] = 0

    def own(self, name: str) -> Cell | None:
        """Return this worker's cell of a name; ``None`` when all are taken."""
        return _cell(self._own, name_hash(name), make=True)

    def peers(self, name: str) -> "Peers":
        """Return the other workers' cells of a name."""
        return Peers(self._others, name_hash(name))


def shared_cells(folder: Path, number: int, workers: int) -> Cells:
    """Return the cells of a worker. Raises ``PreceptorError`` for an unusable folder."""
    try:
        return Cells(folder, number, workers)
    except OSError as error:
        raise PreceptorError(f"{folder} cannot hold the counts of limits: {error.strerror}") from error


class Peers:
    """The other workers' cells of a name, looked for until they are there."""

    __slots__ = ("_hash", "_missing", "cells")

    def __init__(self, files: Sequence[memoryview], hash_: int) -> None:
        self._hash = hash_
        self._missing = list(files)
        self.cells: list[Cell] = []

    def look(self) -> list[Cell]:
        """Return the cells made by now."""
        for file in list(self._missing):
            cell = _cell(file, self._hash, make=False)
            if cell is not None:
                self.cells.append(cell)
                self._missing.remove(file)
        return self.cells


def name_hash(name: str) -> int:
    """Return a positive number for a name, the same in every process."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little") >> 1 or 1


def _opened(path: Path) -> memoryview:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.ftruncate(descriptor, COUNT * SIZE * 8)
        return memoryview(mmap.mmap(descriptor, COUNT * SIZE * 8)).cast("q")
    finally:
        os.close(descriptor)


def _cell(file: memoryview, hash_: int, *, make: bool) -> Cell | None:
    for step in range(COUNT):
        at = (hash_ + step) % COUNT * SIZE
        if file[at] == hash_:
            return file[at : at + SIZE]
        if file[at] == 0:
            if not make:
                return None
            file[at] = hash_
            return file[at : at + SIZE]
    return None
