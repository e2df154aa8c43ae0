"""Visitors of the console: the key that each signed in with, and what its role allows. Decides; ``site`` answers."""

import hmac
from typing import Literal

from gateway.domain import Value
from gateway.settings import Settings
from gateway.settings.keys import digest

ConsoleRole = Literal["read", "approve", "admin"]
"""``read``: look at everything. ``approve``: label, and decide about versions. ``admin``: the kill switch as well."""

ADMIN_KEY = "admin key"
"""The name of ``server.admin_key``; no section can have it, for its space."""
_ROLES: tuple[ConsoleRole, ...] = ("read", "approve", "admin")


class Visitor(Value, frozen=True):
    """A person at the console."""

    name: str
    role: ConsoleRole

    def may(self, role: ConsoleRole) -> bool:
        """Decide whether the role is enough."""
        return _ROLES.index(self.role) >= _ROLES.index(role)


def is_open(settings: Settings) -> bool:
    """Decide whether anybody can sign in."""
    return settings.server.admin_key is not None


def visitor_with(settings: Settings, key: str) -> Visitor | None:
    """Return the holder of a key; ``None`` for a wrong key, after the same time for each."""
    admin = settings.server.admin_key
    given = digest(key)
    if admin is not None and hmac.compare_digest(given, digest(admin)):
        return Visitor(name=ADMIN_KEY, role="admin")
    return None


def visitor_named(settings: Settings, name: str) -> Visitor | None:
    """Return the holder of a session by its key's present role; ``None`` if the key is gone."""
    if name == ADMIN_KEY and settings.server.admin_key is not None:
        return Visitor(name=name, role="admin")
    return None


def key_digest(settings: Settings, name: str) -> str | None:
    """Return the stored form of a key by its name."""
    admin = settings.server.admin_key
    return digest(admin) if name == ADMIN_KEY and admin is not None else None
