"""The doors of the admin API: its key, the roles of other keys, and the bodies of its requests."""

import hmac
from typing import Any, TypeVar

import msgspec
from litestar import Request

from gateway.auth import bearer, key_in
from gateway.errors import BadRequest, Forbidden, Unauthorized
from gateway.http_server.request_head import headers_by_name
from gateway.services import Services
from gateway.settings.keys import Role, digest

MAX_BODY = 10**5
_ACTOR = "preceptor.actor"
KEYS = "/admin/keys"

_Body = TypeVar("_Body", bound=msgspec.Struct)


def authorise(scope: Any, services: Services) -> None:
    """Check the key of a request: ``server.admin_key`` opens everything, another key what its role allows.

    Notes whose it is, for ``actor``. Raises ``Unauthorized``, after the same time for every wrong key, or
    ``Forbidden``.
    """
    headers, admin_key = headers_by_name(scope), services.settings.server.admin_key
    roles = {holder.role for holder in services.keys.holders} - {"use"}
    if admin_key is None and not roles:
        raise Unauthorized("The admin API is off: set server.admin_key.", code="admin_api_off")
    given = bearer(headers.get(b"authorization", b""))
    same = hmac.compare_digest(digest((given or b"").decode("latin-1")), digest(admin_key or ""))
    if same and given and admin_key is not None:
        scope[_ACTOR] = "admin key"
        return
    try:
        holder = services.keys.holder(headers) if roles and key_in(headers) else None
    except Unauthorized as error:
        raise Unauthorized("Incorrect admin key provided.", code=error.code) from None
    if holder is None or holder.role == "use":
        raise Unauthorized("Incorrect admin key provided.", code="invalid_api_key")
    wanted = needed(scope["method"], scope["path"])
    if not holder.is_at_least(wanted):
        raise Forbidden(f"This key has the role {holder.role}, and this needs {wanted}.", code="role_not_allowed")
    scope[_ACTOR] = f"key {holder.name}"


def actor(request: Request[Any, Any, Any]) -> str:
    """Return the name under which the audit log and the histories keep who asked."""
    scope: Any = request.scope
    return str(scope[_ACTOR])


def needed(method: str, path: str) -> Role:
    """Return the role that a request needs."""
    if method in ("GET", "HEAD"):
        return "read"
    return "admin" if path.startswith(KEYS) else "approve"


def parse(body: bytes, kind: type[_Body]) -> _Body:
    """Decode a request's body. Raises ``BadRequest`` with the mistake."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"The body cannot be used: {error}") from None
