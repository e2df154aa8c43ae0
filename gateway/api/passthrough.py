"""Every other path below ``/v1``: forwarded to ``server.default_upstream``, its answer piece by piece to the client.

Reads, injects and records nothing. Without a default upstream these paths answer 404.
"""

import contextlib
import logging
from urllib.parse import unquote

from litestar.types import HTTPScope, Receive, Send

from gateway.api.hangup import ClientGone, HangUp, limit_answer
from gateway.api.http import error_headers, header_value, piece, read_body, respond, start
from gateway.completion import OWN_KEY_REFUSED, refusal
from gateway.errors import MethodNotAllowed, NotFound, PreceptorError, shown
from gateway.http_server.request_head import Header
from gateway.services import Services
from gateway.upstream.base import Call, UpstreamReply

log = logging.getLogger(__name__)

PREFIX = "/v1"
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
"""Not TRACE: an upstream would send the gateway's own key back with it."""
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
REQUEST_HEADERS = frozenset({b"content-type", b"accept", b"openai-beta", b"idempotency-key"})
"""Headers of a request for the upstream; never a key: the upstream gets the gateway's own."""
REPLY_HEADERS = (
    "content-type", "content-length", "content-disposition", "retry-after", "retry-after-ms", "x-should-retry",
    "x-request-id", "openai-processing-ms", "openai-version",
)  # fmt: skip
"""Headers of an answer for the client; never a cookie."""


class PassThrough:
    """An ASGI application for all paths without an endpoint."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def __call__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        begun = False
        body = b""
        try:
            body = await read_body(scope, receive, self._services.serving.body_limit, self._services.bodies)
            async with HangUp(scope, receive), contextlib.aclosing(await self._send(scope, body)) as reply:
                server = self._services.settings.server
                if server.default_upstream is not None:
                    limit_answer(scope, self._services.settings.upstreams[server.default_upstream].total_timeout_s)
                await start(send, reply.status, _headers(reply))
                begun = True
                async for chunk in reply.chunks():
                    await piece(send, chunk, more=True)
                await piece(send, b"", more=False)
        except ClientGone:
            return
        except PreceptorError as error:
            if begun:
                # The server cuts the connection of an unfinished answer: the only sign of an incomplete body.
                log.warning("an answer broke off: %s", error, extra={"action": "passthrough.broken"})
            else:
                await respond(send, error.status, error.body(), error_headers(error))
        finally:
            self._services.bodies.free(len(body))

    async def _send(self, scope: HTTPScope, body: bytes) -> UpstreamReply:
        serving = self._services.serving
        name = serving.settings.server.default_upstream
        path = scope["raw_path"].partition(b"?")[0].decode("latin-1")
        if name is None or ".." in unquote(path).split("/"):
            raise NotFound(f"Invalid URL ({scope['method']} {shown(path)})", code="unknown_url")
        if scope["method"] not in METHODS:
            raise MethodNotAllowed(f"Not allowed to {shown(scope['method'])} here.", code="method_not_supported")
        call = Call(
            model="",
            body=body,
            path=path.removeprefix(PREFIX),
            stream=True,
            method=scope["method"],
            once=scope["method"] not in SAFE,
            query=scope["query_string"].decode("latin-1"),
            bounded=False,
            headers=tuple((key, value) for key, value in scope["headers"] if key in REQUEST_HEADERS),
        )
        reply = await serving.upstreams[name].send(call)
        if reply.status in OWN_KEY_REFUSED:
            async with contextlib.aclosing(reply):
                raise await refusal(reply, name)
        return reply


def _headers(reply: UpstreamReply) -> list[Header]:
    return [(key.encode(), header_value(reply.headers[key])) for key in REPLY_HEADERS if key in reply.headers]
