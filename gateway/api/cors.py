"""Cross-origin requests of allowed web pages: answers to preflights, and headers for the browser to hand replies on."""

import re

from litestar.types import HTTPScope, Message, Send

from gateway.api.http import start
from gateway.http_server.request_head import Header

_METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE"
_MAX_AGE_S = b"600"
_EXPOSED: Header = (b"access-control-expose-headers", b"*")
_NAMES = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~, -]{0,1000}")


def is_preflight(scope: HTTPScope) -> bool:
    """Decide whether a browser asks for permission, before the request itself."""
    return scope["method"] == "OPTIONS" and any(
        name == b"access-control-request-method" for name, _ in scope["headers"]
    )


async def answer_preflight(scope: HTTPScope, send: Send) -> None:
    """Permit the request to come, with the headers it asks for. The request itself still needs its key."""
    asked = next((value for name, value in scope["headers"] if name == b"access-control-request-headers"), b"")
    allowed = asked if _NAMES.fullmatch(asked) else b""
    headers: list[Header] = [
        (b"access-control-allow-methods", _METHODS),
        (b"access-control-allow-headers", allowed),
        (b"access-control-max-age", _MAX_AGE_S),
    ]
    await start(send, 204, headers)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def with_permission(send: Send, origin: bytes) -> Send:
    """Return a ``send`` that adds the permission for the page to every response."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            permission = [(b"access-control-allow-origin", origin), (b"vary", b"origin"), _EXPOSED]
            message = {**message, "headers": [*message["headers"], *permission]}
        await send(message)

    return sending
