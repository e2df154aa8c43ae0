"""Reading bodies and writing responses over bare ASGI, for the request path."""

import re
from collections.abc import Iterable
from typing import cast

from litestar.types import HTTPScope, Receive, Send

from gateway.api.hangup import ClientGone
from gateway.body_memory import BodyMemory
from gateway.errors import BodyTooLarge, PreceptorError
from gateway.formats.json_values import SMALLEST, ValueCount, at_most
from gateway.http_server.request_head import Header, Scope, headers_by_name
from gateway.http_server.request_response import TRANSACTION, Transaction

JSON: Header = (b"content-type", b"application/json")
EVENTS: Header = (b"content-type", b"text/event-stream; charset=utf-8")

LONGEST = 1024
"""Most characters of text in a header."""
_UNPRINTABLE = re.compile(rb"[^\x20-\x7e]")


async def read_body(
    scope: HTTPScope,
    receive: Receive,
    limit: int,
    bodies: BodyMemory,
    *,
    values: int | None = None,
    numbers: bool = True,
) -> bytes:
    """Read the request's body: at most ``limit`` bytes and ``values`` JSON values, see ``ValueCount``.

    The caller frees the body's bytes in ``bodies`` when the request ends. Raises ``BodyTooLarge`` as soon as the body
    exceeds a limit, ``Overloaded`` if all bodies together do, or ``ClientGone``.
    """
    declared = headers_by_name(cast("Scope", scope)).get(b"content-length")
    if declared is not None and declared.isdigit() and int(declared) > limit:
        raise BodyTooLarge(f"The body has {int(declared)} bytes; at most {limit} are taken.")
    chunks: list[bytes] = []
    size = 0
    bound: int | None = None
    count: ValueCount | None = None
    try:
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise ClientGone
            chunk = message["body"]
            size += len(chunk)
            bodies.take(len(chunk))
            if size > limit:
                raise BodyTooLarge(f"The body has more than {limit} bytes.")
            chunks.append(chunk)
            # A value has two bytes, such as "0,": most bodies are too short for too many values, and not counted.
            if values is not None and size > values * SMALLEST:
                if count is None:
                    bound = sum(map(at_most, chunks)) if bound is None else bound + at_most(chunk)
                    if bound > values:
                        count, chunk = ValueCount(values, numbers=numbers), b"".join(chunks)
                if count is not None:
                    count.feed(chunk)
            if not message["more_body"]:
                return b"".join(chunks)
    except BaseException:
        bodies.free(size)
        raise


def header(scope: HTTPScope, name: bytes) -> str | None:
    """Return a request header by its lower-case name; the first of several."""
    value = headers_by_name(cast("Scope", scope)).get(name)
    return None if value is None else value.decode("latin-1")


async def start(send: Send, status: int, headers: Iterable[Header]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})


def short_body(scope: HTTPScope, limit: int) -> bytes | None:
    """Return the body of an ordinary request: it is here by now, and has at most ``limit`` bytes.

    ``None``: ``read_body`` waits for it.
    """
    transaction: Transaction | None = cast("Scope", scope).get(TRANSACTION)
    return transaction.short_body() if transaction is not None and transaction.held <= limit else None


async def respond(send: Send, status: int, body: bytes, headers: Iterable[Header]) -> None:
    """Send a whole response."""
    about: list[Header] = [JSON, (b"content-length", b"%d" % len(body)), *headers]
    # Our own server needs no messages for it; middleware may stand before ``send``.
    transaction = getattr(send, "__self__", None)
    if type(transaction) is Transaction and transaction.respond(status, about, body):
        return
    await start(send, status, about)
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def piece(send: Send, body: bytes, *, more: bool) -> None:
    """Send a piece of a streamed response."""
    await send({"type": "http.response.body", "body": body, "more_body": more})


def error_headers(error: PreceptorError) -> list[Header]:
    """Return the headers of an upstream's refusal for the client, without the request id: the gateway sets its own."""
    handed_on: dict[str, str] = getattr(error, "headers", {})
    return [(name.encode(), header_value(value)) for name, value in handed_on.items() if name != "x-request-id"]


def header_value(text: str) -> bytes:
    """Return text in a form fit for a header: no line break, which would begin another header, and not too long."""
    return _UNPRINTABLE.sub(b"?", text[:LONGEST].encode("ascii", "replace"))
