"""Large bodies that nothing here reads, such as files and sound: handed on piece by piece and never held.

Only behind our own server: on any other, the watch for a hang-up reads the request's messages.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any, cast

from litestar.types import HTTPScope, Receive

from gateway.api.hangup import ClientGone
from gateway.api.http import header
from gateway.body_memory import BodyMemory
from gateway.errors import BodyTooLarge
from gateway.formats.form_data import FieldSearch
from gateway.http_server.request_response import TRANSACTION

LARGE = 2**20
"""Bytes of a body up to which it is read whole."""


def is_upload(scope: HTTPScope) -> bool:
    """Decide whether to hand a body on in pieces: one that is no JSON, and large or of unknown length."""
    if TRANSACTION not in cast("Mapping[str, Any]", scope):
        return False
    kind = (header(scope, b"content-type") or "").partition(";")[0].strip().lower()
    if not kind or kind.endswith("json"):
        return False
    length = length_of(scope)
    return length > LARGE if length is not None else header(scope, b"transfer-encoding") is not None


def length_of(scope: HTTPScope) -> int | None:
    """Return the declared length of a body."""
    declared = header(scope, b"content-length")
    return int(declared) if declared is not None and declared.isdecimal() else None


async def searched(receive: Receive, search: FieldSearch, most: int, bodies: BodyMemory) -> bool:
    """Read a body into a search up to its end, or ``most`` bytes; return whether more of the body follows.

    The caller frees the search's bytes in ``bodies``. Raises ``ClientGone`` or ``Overloaded``.
    """
    size, more = 0, True
    try:
        while more and not search.done and size < most:
            message = await receive()
            if message["type"] != "http.request":
                raise ClientGone
            size, more = size + len(message["body"]), message["more_body"]
            bodies.take(len(message["body"]))
            search.feed(message["body"])
    except BaseException:
        bodies.free(size)
        raise
    return more


class UploadPieces:
    """The pieces of a body of at most ``limit`` bytes, ``begun`` first. Raises ``BodyTooLarge`` or ``ClientGone``."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self.limit = limit
        """Bytes."""
        self.begun = b""
        """What was read of the body already."""
        self.more = True
        """Whether more of it follows."""
        self.too_large = False
        """The body is beyond the limit. The wire that reads the pieces only tells that they broke off."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = len(self.begun)
        if self.begun:
            yield self.begun
        while self.more:
            message = await self._receive()
            if message["type"] != "http.request":
                raise ClientGone
            size += len(message["body"])
            if size > self.limit:
                self.too_large = True
                raise too_large(self.limit)
            if message["body"]:
                yield message["body"]
            if not message["more_body"]:
                return


def too_large(limit: int) -> BodyTooLarge:
    """Return the error for a body beyond the limit."""
    return BodyTooLarge(f"The upload has more than {limit} bytes (server.max_upload_mb).")
