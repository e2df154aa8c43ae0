"""Sessions of the console, sealed into a cookie, and the tokens of its forms. Pure.

A cookie names a key and a time. Its seal covers both, and the key's own digest: with the key its sessions end, on every
gateway of the store. The secret lies in the store.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from gateway.domain import Value
from gateway.store.notes import Note

COOKIE = "preceptor_session"
LIFE_S = 12 * 3600.0
"""Seconds from signing in to signing in again."""
SECRET = Note("console/secret", bytes)


class HasDigest(Protocol):
    """The holder of a key."""

    @property
    def digest(self) -> str:
        """The stored form of the key."""


Sealer = TypeVar("Sealer", bound=HasDigest)


class ConsoleSession(Value, frozen=True):
    """A visitor who signed in."""

    name: str
    expires: int
    """Seconds since the epoch."""


def sealed(session: ConsoleSession, secret: bytes, digest: str) -> str:
    """Return the cookie of a session; ``digest`` is the stored form of its key."""
    name = base64.urlsafe_b64encode(session.name.encode()).decode().rstrip("=")
    return f"{name}.{session.expires}.{_seal(secret, 'session', name, str(session.expires), digest)}"


def opened(cookie: str, secret: bytes, holders: Callable[[str], Iterable[Sealer]], now: float) -> Sealer | None:
    """Return the holder of the session in a cookie; ``None`` for a forged or expired one, and without its key.

    ``holders`` returns the present holders of a name.
    """
    name, _, rest = cookie.partition(".")
    expires, _, seal = rest.partition(".")
    try:
        holder = base64.urlsafe_b64decode(name + "=" * (-len(name) % 4)).decode()
        session = ConsoleSession(name=holder, expires=int(expires))
    except (binascii.Error, UnicodeError, ValueError):
        return None
    if session.expires <= now:
        return None
    for known in holders(session.name):
        right = _seal(secret, "session", name, expires, known.digest)
        if hmac.compare_digest(right.encode(), seal.encode("utf-8", "replace")):
            return known
    return None


def form_token(secret: bytes, cookie: str) -> str:
    """Return the token that every form of a session carries: no other site can read it."""
    return _seal(secret, "form", cookie)


def _seal(secret: bytes, *parts: str) -> str:
    return hmac.new(secret, "\n".join(parts).encode("utf-8", "replace"), hashlib.sha256).hexdigest()
