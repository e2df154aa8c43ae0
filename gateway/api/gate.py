"""The gate before every path: with keys configured, only health checks pass without a key.

Decides by the raw path, before anything is decoded or read, and by a list of allowed paths. Behind the gate, a
request's scope holds the key's owner. ``/admin`` has a key of its own (``api.admin``), and the console ``/ui`` has
sessions.
"""

from typing import cast

from litestar.types import HTTPScope, Send

from gateway.api.http import error_headers, respond
from gateway.auth import Holder
from gateway.errors import Forbidden, NotFound, PreceptorError, shown
from gateway.formats.messages_reply import error_body
from gateway.formats.ollama_reply import native_error
from gateway.http_server.request_head import Scope, headers_by_name
from gateway.services import Services

HOLDER = "preceptor.holder"
"""The key of the ``Holder`` in an ASGI scope."""

OPEN = frozenset({b"/livez", b"/readyz"})
OWN_KEYS = (b"/admin", b"/ui")
"""Paths, and all paths below them, with a look of their own at the visitor's key."""
_KEYLESS = OPEN.union(OWN_KEYS)
_BELOW_OWN = tuple(own + b"/" for own in OWN_KEYS)
PROBES = frozenset({"livez", "readyz"})
FOR_OPERATORS = frozenset({"admin", "metrics", "ui"})
"""First parts of the paths that have a port of their own with ``server.admin_port``."""
MESSAGES = b"/v1/messages"
ASKING = frozenset({
    b"/v1/chat/completions", b"/v1/completions", b"/v1/embeddings", b"/v1/responses", MESSAGES,
    MESSAGES + b"/count_tokens", b"/api/chat", b"/api/generate", b"/api/embed", b"/api/embeddings",
})  # fmt: skip
"""Paths with a check of the key's tasks and models."""
NATIVE = b"/api/"
"""Ollama's own API, each path of which the gateway answers itself."""
FOR_LIMITED = frozenset({
    *ASKING, *(path + b"/" for path in ASKING), b"/v1/models", b"/v1/feedback",
    *(NATIVE + name for name in (b"tags", b"show", b"ps", b"version")),
})  # fmt: skip
"""Paths for a key with limits. The default upstream's other paths would serve any model, and the metrics are about
everybody's tasks."""
MODELS = b"/v1/models/"


def check_port(scope: HTTPScope, admin_port: int) -> None:
    """Keep the paths for operators and those for clients on their own ports. Raises ``NotFound``.

    Decides by the decoded path, as the router does, and by its first part alone.
    """
    path, server = scope["path"], scope["server"]
    first = path.lstrip("/").partition("/")[0]
    here = server is not None and server[1] == admin_port
    if first not in PROBES and here != (first in FOR_OPERATORS):
        raise NotFound(f"Invalid URL ({scope['method']} {shown(path)})", code="unknown_url")


def check_origin(scope: HTTPScope, services: Services) -> bytes | None:
    """Check a request's host and origin. Return the origin of an allowed web page. Raises ``Forbidden``."""
    origins = services.origins
    if not origins.any or scope.get("raw_path", b"") in OPEN:
        return None
    return origins.check(headers_by_name(cast("Scope", scope)))


def admit(scope: HTTPScope, services: Services) -> None:
    """Check a request's key and put its ``Holder`` into the scope. Raises ``Unauthorized`` or ``Forbidden``."""
    keys = services.keys
    if not keys:
        return
    path = scope.get("raw_path", b"")
    if path in _KEYLESS or path.startswith(_BELOW_OWN):
        return
    holder = keys.holder(headers_by_name(cast("Scope", scope)))
    if holder.limited and path not in FOR_LIMITED and not path.startswith(MODELS):
        raise Forbidden("This key is for some tasks or models, and not for this path.", code="path_not_allowed")
    scope[HOLDER] = holder  # type: ignore[literal-required]  # scopes are open to additions


def holder_of(scope: HTTPScope) -> Holder | None:
    """Return the owner of the request's key; ``None`` without configured keys."""
    holder: Holder | None = scope.get(HOLDER)  # type: ignore[assignment]
    return holder


async def refuse(error: PreceptorError, scope: HTTPScope, send: Send) -> None:
    """Answer with the error, in the shape of the request's API."""
    path = scope.get("raw_path", b"")
    await respond(send, error.status, worded(error, path), error_headers(error))


def worded(error: PreceptorError, path: bytes) -> bytes:
    """Return an error in the shape of a path's API."""
    if path.startswith(NATIVE):
        return native_error(error)
    return error_body(error) if path == MESSAGES or path.startswith(MESSAGES + b"/") else error.body()
