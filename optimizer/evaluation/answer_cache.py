"""The cache of model answers: no answer is paid for twice. Calls no model.

It is only a cache: a damaged file is set aside with a line in the log, and the run goes on with an empty one.

diskcache unpickles its entries (CVE-2025-69872): anybody with write access to a cache file could run code.
``BytesDisk`` stores and reads bytes in SQLite only; an entry of any other kind is an error here and a miss above.
"""

import asyncio
import contextlib
import hashlib
import logging
import math
import os
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from weakref import WeakValueDictionary

import diskcache
import msgspec
from diskcache.core import MODE_RAW

from gateway import __version__
from gateway.domain import RuleSet, ToolCall, Usage, Value
from gateway.errors import StoreError

SIZE_LIMIT = 2**30
"""Bytes that the cache may take on disk before it drops its oldest answers."""

FOLDER = "evaluations"
"""Folder of the cache below ``server.data_dir``."""
_BUSY_S = 5.0
"""Seconds that a deletion waits for another writer."""
_FILE = "cache.db"
_BESIDE = ("", "-wal", "-shm")
"""Endings of the files of an SQLite database."""
_DAMAGED = ".damaged"
_DAMAGE = frozenset({sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
"""SQLite's codes for a file without our tables, a damaged one, and one that is no database."""

log = logging.getLogger(__name__)

Kept = TypeVar("Kept", bound=Value)


class Answer(Value, frozen=True):
    """A model's answer: text and tool calls as the caller would receive them; usage and latency cover every pass."""

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage = Usage()
    latency_s: float = 0.0
    finish_reason: str | None = None
    calls: int = 1
    """Calls paid for this answer: several for a form with several passes, none for passes kept by an earlier run."""
    hidden: tuple[str, ...] = ()
    """The answers of hidden passes: working, or a filled-in form."""


class StoredPass(Value, frozen=True):
    """The reply of a call, kept until its whole answer is complete."""

    body: bytes
    latency_s: float


class NotBytes(TypeError):
    """A key or value of the cache is of another type than bytes."""


class BytesDisk(diskcache.Disk):  # type: ignore[misc]  # diskcache ships no types
    """Serialisation of bytes only; other types are refused in both directions."""

    def put(self, key: Any) -> tuple[Any, bool]:
        if not isinstance(key, bytes):
            raise NotBytes("a key of the cache must be bytes")
        return sqlite3.Binary(key), True

    def get(self, key: Any, raw: bool) -> bytes:
        return bytes(key) if raw and isinstance(key, bytes | memoryview) else self._refuse()

    def store(self, value: Any, read: bool, key: Any = None) -> tuple[int, int, None, Any]:
        if read or not isinstance(value, bytes):
            raise NotBytes("a value of the cache must be bytes")
        return 0, MODE_RAW, None, sqlite3.Binary(value)

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> bytes:
        plain = mode == MODE_RAW and filename is None and isinstance(value, bytes | memoryview)
        return bytes(value) if plain and not read else self._refuse()

    def _refuse(self) -> NoReturn:
        raise NotBytes("an entry of the cache is not bytes and was not read")


def key_of(identity: str, request: bytes, rule_set: RuleSet | None, purpose: str) -> bytes:
    """Return the key of an answer. The program's version is part of it: another may word a scratchpad differently."""
    content = [__version__, identity, request, rule_set.hash if rule_set else None, purpose]
    return hashlib.sha256(msgspec.json.encode(content)).digest()


def key_of_pass(identity: str, path: str, body: bytes) -> bytes:
    """Return the key of a call: everything that reaches the upstream."""
    head = msgspec.json.encode([__version__, "pass", identity, path])
    return hashlib.sha256(head + b"\n" + body).digest()


def forget_answers(directory: Path, before: float = math.inf) -> int:
    """Delete the answers stored before a time, by default all of them; returns their number. Blocks.

    Raises ``StoreError`` if the cache cannot be written. A folder without a cache has none to delete. A damaged file is
    deleted whole: nobody can tell its answers apart.
    """
    file = directory / _FILE
    for old in directory.glob(f"*{_DAMAGED}"):
        if old.stat().st_mtime < before:
            old.unlink(missing_ok=True)
    if not file.is_file():
        return 0
    try:
        with contextlib.closing(sqlite3.connect(file, timeout=_BUSY_S, isolation_level=None)) as connection:
            connection.execute("PRAGMA secure_delete=ON")  # the texts of replies are overwritten
            deleted = connection.execute("DELETE FROM Cache WHERE store_time < ?", (before,)).rowcount
            if deleted:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except sqlite3.Error as error:
        if not _is_damage(error):
            raise StoreError(f"old answers in {file} cannot be deleted: {error}") from error
        for ending in _BESIDE:
            Path(f"{file}{ending}").unlink(missing_ok=True)
        return 0
    return deleted


def _is_damage(error: BaseException) -> bool:
    return getattr(error, "sqlite_errorcode", None) in _DAMAGE


def _opened(directory: Path) -> Any:
    """The cache in a private folder; a damaged one is set aside first. Raises ``OSError`` and ``sqlite3.Error``."""
    if directory.exists() and not directory.is_dir():
        _set_aside(directory, "it is no folder", endings=("",))
    file = directory / _FILE
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))  # replies lie in it
    for path, mode in ((directory, 0o700), (file, 0o600)):
        with contextlib.suppress(PermissionError):  # somebody else's, made for us
            path.chmod(mode)
    try:
        return diskcache.Cache(directory, disk=BytesDisk, size_limit=SIZE_LIMIT)
    except sqlite3.Error as error:
        if not _is_damage(error):
            raise
        _set_aside(file, str(error))
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
        return diskcache.Cache(directory, disk=BytesDisk, size_limit=SIZE_LIMIT)


def _set_aside(path: Path, why: str, endings: Sequence[str] = _BESIDE) -> None:
    """Rename what cannot be read, and say so. It replaces an older one."""
    for ending in endings:
        with contextlib.suppress(FileNotFoundError):
            Path(f"{path}{ending}").replace(f"{path}{ending}{_DAMAGED}")
    log.warning(
        "%s is damaged (%s) and now named %s%s: answers will be asked for again", path, why, path.name, _DAMAGED,
        extra={"action": "evaluations.set_aside"},
    )  # fmt: skip


class AnswerCache:
    """Answers by key: read on the event loop (tens of microseconds), written behind by one thread."""

    def __init__(self, directory: Path) -> None:
        """Open or make the cache. Raises ``StoreError`` if the folder or the file in it cannot be used."""
        try:
            self._cache = _opened(directory)
            self._file, self._inode = directory / _FILE, (directory / _FILE).stat().st_ino
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"the cache of evaluations in {directory} cannot be opened: {error}") from error
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="evaluations")
        self._closed = False
        self._unwritten: dict[bytes, Answer] = {}
        self._locks: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()

    def exclusive(self, key: bytes) -> asyncio.Lock:
        """Return the lock to hold while the answer to ``key`` is read or bought: it is bought once."""
        lock = self._locks.get(key)
        if lock is None:
            lock = self._locks[key] = asyncio.Lock()
        return lock

    def get(self, key: bytes) -> Answer | None:
        """Return the answer to ``key``; ``None`` without a readable answer."""
        return self._unwritten.get(key) or self._read(key, Answer)

    def put(self, key: bytes, answer: Answer) -> None:
        """Keep an answer; it is readable at once and on disk soon, even if the caller is cancelled."""
        self._unwritten[key] = answer
        self._writer.submit(self._write, key, answer)

    def get_pass(self, key: bytes) -> StoredPass | None:
        """Return a kept reply of an answer that was cut short."""
        return self._read(key, StoredPass)

    async def keep_pass(self, key: bytes, kept: StoredPass) -> None:
        """Keep a reply until its answer is complete. It is on disk when this returns: the next call may be the last."""
        await asyncio.shield(asyncio.wrap_future(self._writer.submit(self._set, key, kept)))

    def drop_passes(self, keys: Sequence[bytes]) -> None:
        """Forget the replies of an answer after ``put``: the answer is written first. After ``close`` they stay."""
        for key in () if self._closed else keys:
            self._writer.submit(self._delete, key)

    def close(self) -> None:
        """Wait for the last write and close the file. Blocks for as long as the disk does."""
        self._closed = True
        self._writer.submit(self._cache.close)  # each thread has a connection of its own
        self._writer.shutdown(wait=True)
        self._cache.close()

    def _read(self, key: bytes, kind: type[Kept]) -> Kept | None:
        try:
            data = self._cache.get(key)
            return None if data is None else msgspec.json.decode(data, type=kind)
        except (NotBytes, msgspec.DecodeError, OSError, sqlite3.Error) as error:
            log.warning("cached evaluation not readable: %s", error, extra={"action": "evaluations.unreadable"})
            self._look_at(error)
            return None

    def _write(self, key: bytes, answer: Answer) -> None:
        if self._set(key, answer):
            self._unwritten.pop(key, None)

    def _set(self, key: bytes, kept: Answer | StoredPass) -> bool:
        try:
            self._cache.set(key, msgspec.json.encode(kept))
        except (OSError, sqlite3.Error, diskcache.Timeout) as error:
            # A full disk costs a later run money, not this one its result: the answer stays in memory.
            log.warning("evaluation not cached: %s", error, extra={"action": "evaluations.write_failed"})
            self._look_at(error)
            return False
        return True

    def _look_at(self, error: BaseException) -> None:
        """Set the file aside if the error says that it is damaged: the next run starts an empty one.

        This run keeps its answers in memory. Another process may have renamed the file already.
        """
        with contextlib.suppress(OSError):
            if _is_damage(error) and self._file.stat().st_ino == self._inode:
                _set_aside(self._file, str(error))

    def _delete(self, key: bytes) -> None:
        with contextlib.suppress(OSError, sqlite3.Error, diskcache.Timeout):  # a reply left behind will be evicted
            self._cache.delete(key)
