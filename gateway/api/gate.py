"""The gate before every path: where keys are configured, nobody passes without one but who asks for nothing.

Decides by the path as it came over the wire, before anything is decoded or read, and by what is allowed, not by what is
forbidden. Behind it a request's scope says whose it is. ``/admin`` has a key of its own (``api.admin``).
"""

from litestar.types import HTTPScope, Send

from gateway.api.http import error_headers, respond
from gateway.auth import Holder
from gateway.errors import Forbidden, PreceptorError
from gateway.formats.messages_reply import error_body
from gateway.services import Services

HOLDER = "preceptor.holder"
"""Where a scope holds whose key was shown."""

OPEN = frozenset({b"/livez", b"/readyz"})
ADMIN = b"/admin"
MESSAGES = b"/v1/messages"
ASKING = frozenset({
    b"/v1/chat/completions", b"/v1/completions", b"/v1/embeddings", b"/v1/responses", MESSAGES,
})  # fmt: skip
"""Paths whose requests are held against a key's tasks and models."""
FOR_LIMITED = frozenset({*ASKING, *(path + b"/" for path in ASKING), b"/v1/models", b"/v1/feedback"})
"""What a key for some tasks or models may ask for. The default upstream's other paths would serve it any model, and the
metrics tell of other people's tasks."""
MODELS = b"/v1/models/"


def admit(scope: HTTPScope, services: Services) -> None:
    """Let a request pass, and note in its scope whose it is. Raises ``Unauthorized`` or ``Forbidden``."""
    keys = services.serving.keys
    if not keys:
        return
    path = scope.get("raw_path", b"")
    if path in OPEN or path == ADMIN or path.startswith(ADMIN + b"/"):
        return
    holder = keys.holder(scope["headers"])
    if holder.limited and path not in FOR_LIMITED and not path.startswith(MODELS):
        raise Forbidden("This key is for some tasks or models, and not for this path.", code="path_not_allowed")
    scope[HOLDER] = holder  # type: ignore[literal-required]  # scopes are open to additions


def holder_of(scope: HTTPScope) -> Holder | None:
    """Whose request it is; ``None`` where nobody is asked for a key."""
    found: Holder | None = scope.get(HOLDER)  # type: ignore[assignment]
    return found


async def refuse(error: PreceptorError, scope: HTTPScope, send: Send) -> None:
    """Say why a request does not pass, in the words of the API that it speaks."""
    path = scope.get("raw_path", b"")
    body = error_body(error) if path == MESSAGES or path.startswith(MESSAGES + b"/") else error.body()
    await respond(send, error.status, body, error_headers(error))
