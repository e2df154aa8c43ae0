"""Keys made by command or by the admin API: kept in the store as hashes, followed by every gateway on it.

A change takes effect within a second, without a restart. Keys of the configuration are not kept here; a revoked key of
the configuration leaves its hash behind.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import msgspec

from gateway.auth import Keyring, new_key
from gateway.errors import Conflict, NotFound, StoreError
from gateway.settings import Key
from gateway.settings.base import doc
from gateway.settings.keys import digest, end_of
from gateway.store import trail
from gateway.store.base import Store
from gateway.store.notes import change_note

NOTE = "keys"
BY = "command line"

State = Literal["valid", "rotating", "expired", "revoked"]


class IssuedKey(Key, frozen=True, forbid_unknown_fields=False):
    """A key in the store."""

    made: Annotated[float, doc("Time of its making, in seconds since the epoch.")] = 0.0
    revoked: Annotated[float | None, doc("Time of its end, in seconds since the epoch.")] = None


_decoder = msgspec.json.Decoder(dict[str, IssuedKey])


def read(store: Store) -> Mapping[str, IssuedKey]:
    """Return the keys by name. Blocks; raises ``StoreError``, also for keys in a form of another version."""
    return decoded(store.note(NOTE))


def decoded(noted: bytes | None) -> dict[str, IssuedKey]:
    """Return the keys of the note by name. Raises ``StoreError`` for another version's form."""
    try:
        return {} if noted is None else _decoder.decode(noted)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        # Without them, a gateway could be open to everybody.
        raise StoreError(f"the keys in the store cannot be read by this version: {error}") from error


def keyring(configured: Mapping[str, Key], issued: Mapping[str, IssuedKey], clock: Callable[[], float]) -> Keyring:
    """Return the ring of all keys. The configuration's key goes before another of the same name."""
    revoked = {sha256 for key in issued.values() if key.revoked is not None for sha256, _ in key.digests()}
    valid = {name: key for name, key in issued.items() if key.revoked is None}
    return Keyring({**valid, **configured}, revoked, clock=clock)


def state_of(key: Key, now: float) -> State:
    """Return the state of a key at a time."""
    if isinstance(key, IssuedKey) and key.revoked is not None:
        return "revoked"
    if end_of(key.expires) <= now:
        return "expired"
    return "rotating" if key.old_hash is not None and now < end_of(key.old_until) else "valid"


def listed(configured: Mapping[str, Key], issued: Mapping[str, IssuedKey], now: float) -> list[dict[str, Any]]:
    """Return what people may know of every key, by name."""
    places = [*((name, key, "configuration") for name, key in configured.items() if not _is_over(key, issued))]
    places += [(name, key, "store") for name, key in issued.items()]
    return [
        {
            "name": name,
            "owner": key.owner,
            "role": key.role,
            "state": state_of(key, now),
            "expires": None if key.expires is None else key.expires.isoformat(),
            "old_until": None if key.old_until is None else key.old_until.isoformat(),
            "tasks": key.tasks,
            "models": key.models,
            "kept_in": place,
        }
        for name, key, place in sorted(places, key=lambda entry: entry[0])
    ]


def owners(configured: Mapping[str, Key], issued: Mapping[str, IssuedKey]) -> dict[str, str]:
    """Return the owner of every key by its name."""
    return {name: key.owner for name, key in {**issued, **configured}.items()}


def _is_over(key: Key, issued: Mapping[str, IssuedKey]) -> bool:
    return any(other.hash == key.hash and other.revoked is not None for other in issued.values())


def day_after(now: float, days: int) -> dt.date:
    """Return the day so many days after a time, in UTC."""
    return dt.datetime.fromtimestamp(now, dt.UTC).date() + dt.timedelta(days=days)


def issue(store: Store, name: str, key: IssuedKey, configured: Mapping[str, Key], *, by: str = BY) -> None:
    """Keep a new key. Blocks; raises ``Conflict`` for a name in use."""

    def add(keys: dict[str, IssuedKey]) -> None:
        if name in keys or name in configured:
            raise Conflict(f"there is a key {name!r} already: rotate it, or take another name")
        keys[name] = key

    _change(store, add)
    _told(store, "key made", name, by=by, at=key.made, why=f"role {key.role}")


def rotate(store: Store, name: str, random: bytes, *, old_until: dt.date, now: float, by: str = BY) -> str:
    """Give a key a second secret and return it; the first is right until the end of ``old_until``.

    Blocks; raises ``NotFound`` for a key that is not in the store, ``Conflict`` for one that is over.
    """
    secret = new_key(random)

    def turn(keys: dict[str, IssuedKey]) -> None:
        key = keys.get(name)
        if key is None:
            raise NotFound(f"there is no key {name!r} in the store")
        if (state := state_of(key, now)) in ("revoked", "expired"):
            raise Conflict(f"the key {name!r} is {state}: make another")
        keys[name] = msgspec.structs.replace(key, hash=digest(secret), old_hash=key.hash, old_until=old_until)

    _change(store, turn)
    _told(store, "key rotated", name, by=by, at=now, why=f"the old secret until {old_until}")
    return secret


def revoke(store: Store, name: str, configured: Mapping[str, Key], *, now: float, by: str = BY) -> None:
    """End a key for good, wherever it is kept. Blocks; raises ``NotFound``."""

    def end(keys: dict[str, IssuedKey]) -> None:
        if name in configured:
            fields = {field: getattr(configured[name], field) for field in ("hash", "old_hash", "owner")}
            keys[name] = IssuedKey(**fields, made=now, revoked=now)
        elif name not in keys:
            raise NotFound(f"there is no key {name!r}")
        elif keys[name].revoked is None:
            keys[name] = msgspec.structs.replace(keys[name], revoked=now)

    _change(store, end)
    _told(store, "key revoked", name, by=by, at=now)


def _told(store: Store, what: str, name: str, *, by: str, at: float, why: str = "") -> None:
    trail.try_to_append(store, trail.Deed(at=at, by=by, what=what, subject=name, why=why))


def _change(store: Store, work: Callable[[dict[str, IssuedKey]], None]) -> None:
    """Change the keys in the store. Of two changes at once none is lost."""

    def changed(noted: bytes | None) -> bytes:
        keys = decoded(noted)
        work(keys)
        return msgspec.json.encode(keys)

    change_note(store, NOTE, changed, "the keys were")
