"""The audit log: who did what to keys, rules, roll-outs and the configuration.

Append-only; each entry holds the hash of the one before it. Kept as notes of the store, so that every gateway on it
writes one chain: ``trail/N`` is entry N, written once, and ``trail/last`` says how far the chain goes. An entry without
that pointer (its writer was killed) is taken up by the next writer. Whoever can write to the database can write the
whole chain anew: the last hash, kept elsewhere, shows it.
"""

import hashlib
import logging
from collections.abc import Iterator

import msgspec

from gateway.domain import Activation, Value
from gateway.errors import Conflict, StoreError
from gateway.store.base import Store

log = logging.getLogger(__name__)

_LAST = "trail/last"
_CONFIGURATION = "trail/configuration"
_ATTEMPTS = 100
FIRST = "0" * 64
"""The hash before the first entry."""


class Deed(Value, frozen=True):
    """An entry. ``at`` is in seconds since the epoch."""

    at: float
    by: str
    what: str
    """Such as ``key revoked``, ``rules live``, ``configuration``."""
    subject: str
    """The key, the task with its version, or the file."""
    why: str = ""
    number: int = 0
    before: str = FIRST
    """The hash of the entry before this one."""


class _Last(Value, frozen=True):
    number: int = 0
    hash: str = FIRST


_deed = msgspec.json.Decoder(Deed)
_last = msgspec.json.Decoder(_Last)


def append(store: Store, deed: Deed) -> None:
    """Add an entry. Blocks; raises ``StoreError``."""
    for _ in range(_ATTEMPTS):
        noted = store.note(_LAST)
        last = _Last() if noted is None else _last.decode(noted)
        number = last.number + 1
        entry = msgspec.json.encode(msgspec.structs.replace(deed, number=number, before=last.hash))
        mine = store.swap_note(_key(number), None, entry)
        written = entry if mine else store.note(_key(number))
        if written is not None:  # else it was just written, and is read at the next attempt
            store.swap_note(_LAST, noted, msgspec.json.encode(_Last(number=number, hash=_hash(written))))
        if mine:
            return
    raise Conflict("others wrote to the audit log all the time: try again")


def try_to_append(store: Store, deed: Deed) -> None:
    """Add an entry about something that is done already: a failure is logged. Blocks."""
    try:
        append(store, deed)
    except (StoreError, Conflict, msgspec.DecodeError) as error:
        log.error(
            "not in the audit log: %s of %s: %s", deed.what, deed.subject, error, extra={"action": "trail.failed"}
        )


def decided(store: Store, decision: Activation) -> None:
    """Add an entry about a decision on rule sets."""
    version = "no rules" if decision.version is None else f"version {decision.version}"
    share = "" if decision.kind in ("live", "redaction") else f", share {decision.share:g}"
    subject = f"{decision.task}: {version}{share}"
    what = f"rules {decision.kind}"
    try_to_append(store, Deed(at=decision.created, by=decision.by, what=what, subject=subject, why=decision.why))


def configured(store: Store, digest: str, *, at: float, by: str, source: str) -> None:
    """Add an entry if the configuration is not the one of the last such entry. ``digest`` is of its text."""
    try:
        before = store.note(_CONFIGURATION)
        if before != digest.encode() and store.swap_note(_CONFIGURATION, before, digest.encode()):
            append(store, Deed(at=at, by=by, what="configuration", subject=source, why=f"sha256:{digest}"))
    except (StoreError, Conflict, msgspec.DecodeError) as error:
        log.error("not in the audit log: the configuration: %s", error, extra={"action": "trail.failed"})


def deeds(store: Store) -> Iterator[Deed]:
    """Yield every entry, oldest first; the chain is not checked. Blocks; raises ``StoreError``."""
    number = 1
    while (entry := store.note(_key(number))) is not None:
        yield _deed.decode(entry)
        number += 1


def newest(store: Store, *, limit: int) -> list[Deed]:
    """Return the newest entries, newest first; the chain is not checked. Blocks; raises ``StoreError``."""
    noted = store.note(_LAST)
    last = 0 if noted is None else _last.decode(noted).number
    keys = [_key(number) for number in range(max(1, last - limit + 1), last + 1)]
    entries = store.notes(keys)
    return [_deed.decode(entries[key]) for key in reversed(keys) if key in entries]


def verify(store: Store) -> tuple[int, str]:
    """Check the chain; return the number of entries and the last hash. Blocks; raises ``Conflict`` where it breaks."""
    noted = store.note(_LAST)
    wanted = _Last() if noted is None else _last.decode(noted)
    hash_, number = FIRST, 0
    while (entry := store.note(_key(number + 1))) is not None:
        number += 1
        try:
            deed = _deed.decode(entry)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Conflict(f"entry {number} of the audit log is none") from None
        if deed.number != number or deed.before != hash_:
            raise Conflict(f"the audit log is broken before entry {number}: an entry was changed, removed or added")
        hash_ = _hash(entry)
        if number == wanted.number and hash_ != wanted.hash:
            raise Conflict(f"entry {number} of the audit log was changed")
    if number < wanted.number:
        raise Conflict(f"the audit log ends at entry {number}, and had {wanted.number}")
    return number, hash_


def _key(number: int) -> str:
    return f"trail/{number:09}"


def _hash(entry: bytes) -> str:
    return hashlib.sha256(entry).hexdigest()
