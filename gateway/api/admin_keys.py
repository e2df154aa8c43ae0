"""``/admin/keys``: the commands ``preceptor keys`` over HTTP. A change holds for this gateway at once."""

import asyncio
import datetime as dt
import secrets
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.di import NamedDependency

from gateway import auth, issued_keys
from gateway.api.admin_access import MAX_BODY, actor, parse
from gateway.issued_keys import IssuedKey
from gateway.services import Services
from gateway.settings.base import Name
from gateway.settings.keys import Role, digest
from gateway.settings.quotas import NO_LIMITS, Budget, Limits


class _KeyName(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    name: Name


class _NewKey(_KeyName, kw_only=True, forbid_unknown_fields=True):
    owner: str = ""
    role: Role = "use"
    expires: dt.date | None = None
    tasks: tuple[str, ...] | None = None
    models: tuple[str, ...] | None = None
    limits: Limits = NO_LIMITS
    budget: Budget | None = None


class _KeyRotation(_KeyName, kw_only=True, forbid_unknown_fields=True):
    keep_days: Annotated[int, msgspec.Meta(ge=0, le=3650)] = 7


@get("/keys")
async def list_keys(services: NamedDependency[Services]) -> dict[str, Any]:
    """List every key without its secret."""
    issued = await asyncio.to_thread(issued_keys.read, services.store)
    return {"keys": issued_keys.listed(services.settings.keys, issued, services.wall_clock())}


@post("/keys/new", status_code=200, request_max_body_size=MAX_BODY)
async def new_key(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> dict[str, Any]:
    """Make a key and return its secret, this once."""
    body = parse(await request.body(), _NewKey)
    secret = auth.new_key(secrets.token_bytes(32))
    fields = {name: value for name, value in msgspec.structs.asdict(body).items() if name != "name"}
    key = IssuedKey(hash=digest(secret), made=services.wall_clock(), **fields)
    await _changed(
        services, lambda: issued_keys.issue(services.store, body.name, key, services.settings.keys, by=actor(request))
    )
    return {"name": body.name, "key": secret}


@post("/keys/rotate", status_code=200, request_max_body_size=MAX_BODY)
async def rotate_key(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> dict[str, Any]:
    """Give a key a second secret and return it, this once."""
    body = parse(await request.body(), _KeyRotation)
    now, made = services.wall_clock(), secrets.token_bytes(32)
    until = issued_keys.day_after(now, body.keep_days)
    secret: list[str] = []

    def turn() -> None:
        secret.append(issued_keys.rotate(services.store, body.name, made, old_until=until, now=now, by=actor(request)))

    await _changed(services, turn)
    return {"name": body.name, "key": secret[0], "old_until": until}


@post("/keys/revoke", status_code=200, request_max_body_size=MAX_BODY)
async def revoke_key(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> dict[str, Any]:
    """End a key for good."""
    body = parse(await request.body(), _KeyName)
    now, configured = services.wall_clock(), services.settings.keys
    await _changed(
        services, lambda: issued_keys.revoke(services.store, body.name, configured, now=now, by=actor(request))
    )
    return {"name": body.name, "state": "revoked"}


async def _changed(services: Services, change: Callable[[], None]) -> None:
    await asyncio.to_thread(change)
    services.take_keys(await asyncio.to_thread(issued_keys.read, services.store))
