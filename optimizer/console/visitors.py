"""Visitors of the console: the key that each signed in with, and its role. The doors are those of the admin API."""

import hmac
from collections.abc import Sequence

from gateway.auth import Holder
from gateway.domain import Value
from gateway.errors import Unauthorized
from gateway.services import Services
from gateway.settings.keys import Role, digest

ADMIN_KEY = "admin key"
"""The name of ``server.admin_key``; no other key can have it, for its space."""
RANKS: Sequence[Role] = ("use", "read", "approve", "admin")
"""``read``: look at everything. ``approve``: label, and decide about versions. ``admin``: the kill switch as well."""


class Visitor(Value, frozen=True):
    """A person at the console."""

    name: str
    role: Role
    digest: str
    """The stored form of the secret: a session ends with it."""

    def may(self, role: Role) -> bool:
        """Decide whether the role is enough."""
        return RANKS.index(self.role) >= RANKS.index(role)


def is_open(services: Services) -> bool:
    """Decide whether anybody can sign in."""
    return services.settings.server.admin_key is not None or bool(_with_roles(services))


def visitor_with(services: Services, key: str) -> Visitor | None:
    """Return the holder of a key; ``None`` for a wrong, an old or a client's key. Each takes the same time."""
    admin = services.settings.server.admin_key
    if admin is not None and hmac.compare_digest(digest(key), digest(admin)):
        return Visitor(name=ADMIN_KEY, role="admin", digest=digest(admin))
    if not key or not _with_roles(services):
        return None
    try:
        holder = services.keys.holder({b"authorization": b"Bearer " + key.encode("utf-8", "replace")})
    except Unauthorized:
        return None
    return None if holder.role == "use" else _visitor(holder)


def visitors_named(services: Services, name: str, now: float) -> list[Visitor]:
    """Return the holders of a name with their present roles. A rotation has two, a deleted key none."""
    admin = services.settings.server.admin_key
    if name == ADMIN_KEY:
        return [] if admin is None else [Visitor(name=name, role="admin", digest=digest(admin))]
    return [_visitor(holder) for holder in _with_roles(services) if holder.name == name and holder.ends > now]


def _with_roles(services: Services) -> list[Holder]:
    return [holder for holder in services.keys.holders if holder.role != "use"]


def _visitor(holder: Holder) -> Visitor:
    return Visitor(name=holder.name, role=holder.role, digest=holder.digest.hex())
