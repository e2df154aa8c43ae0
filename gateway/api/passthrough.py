"""Every other path below ``/v1``: forwarded to the upstream, its answer piece by piece to the client.

A configured name as the ``model`` of JSON or of a form leads to its upstream, everything else to
``server.default_upstream``. Injects and records nothing. Without a default upstream these paths answer 404.
"""

import asyncio
import contextlib
import logging
from urllib.parse import unquote

import msgspec
from litestar.types import HTTPScope, Receive, Send

from gateway.api.claims import claim_of_path
from gateway.api.earlier import link_to
from gateway.api.gate import holder_of
from gateway.api.hangup import ClientGone, HangUp, limit_answer
from gateway.api.http import error_headers, header, header_value, piece, read_body, respond, start
from gateway.api.placing import form_in, is_naming, placed, placed_form, uploaded_to
from gateway.api.request_coding import decompressed
from gateway.api.upload import UploadPieces, is_upload, length_of, searched, too_large
from gateway.errors import MethodNotAllowed, NotFound, PreceptorError, UpstreamError, shown
from gateway.formats.form_data import FieldSearch
from gateway.formats.json_values import SMALLEST, ValueCount, at_most
from gateway.formats.upstream_error import OWN_KEY_REFUSED
from gateway.http_server.request_head import Header
from gateway.routing.deployments import ordered
from gateway.services import Services
from gateway.settings import Settings
from gateway.upstream.base import Call, UploadCall, Upstream, UpstreamReply
from gateway.upstream.refusal import refusal

log = logging.getLogger(__name__)

PREFIX = "/v1"
NATIVE = "/api/"
STORED = ("/v1/responses/", "/v1/chat/completions/")
"""What upstreams store, by the beginning of its address."""
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
"""Not TRACE: an upstream would send the gateway's own key back with it."""
OTHER_METHODS = METHODS - {"POST"}
"""Methods at the address of an endpoint that serves ``POST``."""
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
REQUEST_HEADERS = frozenset({
    b"content-type", b"accept", b"openai-beta", b"anthropic-beta", b"anthropic-version", b"idempotency-key",
    b"traceparent", b"tracestate",
})  # fmt: skip
"""Headers of a request for the upstream; never a key: the upstream gets the gateway's own."""
REPLY_HEADERS = (
    "content-type", "content-length", "content-disposition", "retry-after", "retry-after-ms", "x-should-retry",
    "x-request-id", "request-id", "openai-processing-ms", "openai-version",
)  # fmt: skip
"""Headers of an answer for the client; never a cookie."""

_PIECE = 2**20
"""Bytes that are counted without a pause."""


class PassThrough:
    """An ASGI application for all paths without an endpoint."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def __call__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        begun = False
        body = b""
        claim = None
        try:
            claim = await claim_of_path(self._services, holder_of(scope))
            limit, bodies, form = self._services.serving.body_limit, self._services.bodies, form_in(scope)
            upload = UploadPieces(receive, self._services.serving.upload_limit) if is_upload(scope) else None
            if upload is None:
                body = await read_body(scope, receive, limit, bodies)
                body = self._plain(scope, body)
                await count_values(body, self._services.settings.server.max_json_values)
                if form is not None:
                    form.feed(body)
            elif form is not None and is_naming(scope["raw_path"]):
                upload.more = await searched(receive, form, min(limit, upload.limit), bodies)
                body = form.read
            with HangUp(scope, receive):
                async with contextlib.aclosing(await self._send(scope, body, form, upload)) as reply:
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
            if claim is not None:
                claim.settle(0, None)
            self._services.bodies.free(len(body))

    def _plain(self, scope: HTTPScope, body: bytes) -> bytes:
        """Decompress JSON, to read its model. Anything else is the upstream's business."""
        coding, kind = header(scope, b"content-encoding"), header(scope, b"content-type") or ""
        if coding is None or "json" not in kind:
            return body
        serving = self._services.serving
        values = serving.settings.server.max_json_values
        return decompressed(body, coding, serving.body_limit, self._services.bodies, values=values)

    async def _responder(self, path: str, scope: HTTPScope) -> str | None:
        """Return the upstream of a stored response or chat: only that one can show, change or delete it."""
        prefix = next((prefix for prefix in STORED if path.startswith(prefix)), None)
        if prefix is None:
            return None
        response_id = unquote(path.removeprefix(prefix).partition("/")[0])
        link = await link_to(response_id, self._services, holder_of(scope))
        model = None if link is None else self._services.settings.models.get(link.model)
        if link is None or model is None:
            return None
        if model.upstreams and link.cluster is not None:
            return ordered(link.model, model.upstreams, model.weights, link.cluster.encode())[0]
        return model.upstream

    async def _send(
        self, scope: HTTPScope, read: bytes, form: FieldSearch | None, upload: UploadPieces | None
    ) -> UpstreamReply:
        """Send a request with its body, or with the beginning of one to be received."""
        serving = self._services.serving
        path = scope["raw_path"].partition(b"?")[0].decode("latin-1")
        if form is not None and (read or upload is None):
            name, body = placed_form(scope, read, form, serving.settings)
        else:
            name, body = placed(scope, read, serving.settings) if upload is None else (uploaded_to(scope, serving), b"")
        name = await self._responder(path, scope) or name
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
            headers=_handed_on(scope),
        )
        upstream = serving.upstreams[name]
        more = len(body) - len(read)
        reply = await (upstream.send(call) if upload is None else self._uploaded(upstream, call, scope, upload, more))
        limit_answer(scope, serving.settings.upstreams[name].total_timeout_s)
        if reply.status in OWN_KEY_REFUSED:
            async with contextlib.aclosing(reply):
                raise await refusal(reply, name)
        return reply

    async def _uploaded(
        self, upstream: Upstream, call: Call, scope: HTTPScope, pieces: UploadPieces, more: int
    ) -> UpstreamReply:
        """Send a call with the body that is still to be received, ``more`` bytes longer. Raises ``BodyTooLarge``."""
        limit, length = pieces.limit, length_of(scope)
        if length is not None and length > limit:
            raise too_large(limit)
        pieces.begun, length = call.body, None if length is None else length + more
        try:
            given = {**msgspec.structs.asdict(call), "body": b""}
            return await upstream.send(UploadCall(**given, pieces=pieces, length=length))
        except UpstreamError:
            if pieces.too_large:
                raise too_large(limit) from None
            raise


def _handed_on(scope: HTTPScope) -> tuple[Header, ...]:
    """Return the request's headers for the upstream, with the coding of a body that was not decompressed."""
    names = REQUEST_HEADERS
    if "json" not in (header(scope, b"content-type") or ""):
        names = names | {b"content-encoding"}
    return tuple((key, value) for key, value in scope["headers"] if key in names)


async def count_values(body: bytes, most: int) -> None:
    """Refuse a JSON object with too many values, before it is decoded. Others get their turn between two pieces.

    Anything else, such as an upload, is not counted: nothing in it is decoded. Raises ``BodyTooLarge``.
    """
    if len(body) <= most * SMALLEST or not body.lstrip().startswith(b"{") or at_most(body) <= most:
        return
    count = ValueCount(most)
    for place in range(0, len(body), _PIECE):
        count.feed(body[place : place + _PIECE])
        await asyncio.sleep(0)


def passes_through(scope: HTTPScope, settings: Settings) -> bool:
    """Decide whether another method than POST, such as the list of stored chats, is for the default upstream.

    Not so in Ollama's own API, nor for a WebSocket: upstreams speak plain HTTP here. Nor for a key with limits: the
    upstream would show everybody's chats.
    """
    if scope["path"].startswith(NATIVE):
        return False
    holder = holder_of(scope)
    limited = holder is not None and holder.limited
    return settings.server.default_upstream is not None and not limited and header(scope, b"sec-websocket-key") is None


def _headers(reply: UpstreamReply) -> list[Header]:
    return [(key.encode(), header_value(reply.headers[key])) for key in REPLY_HEADERS if key in reply.headers]
