"""Large bodies that nothing here reads, such as files and sound: handed on piece by piece and never held.

Only behind our own server: on any other, the watch for a hang-up reads the request's messages.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any, cast

from litestar.types import HTTPScope, Receive

from gateway.api.hangup import ClientGone
from gateway.api.http import header
from gateway.errors import BodyTooLarge
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


class UploadPieces:
    """The pieces of a body of at most ``limit`` bytes. Raises ``BodyTooLarge`` or ``ClientGone``."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self.too_large = False
        """The body is beyond the limit. The wire that reads the pieces only tells that they broke off."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        while True:
            message = await self._receive()
            if message["type"] != "http.request":
                raise ClientGone
            size += len(message["body"])
            if size > self._limit:
                self.too_large = True
                raise too_large(self._limit)
            if message["body"]:
                yield message["body"]
            if not message["more_body"]:
                return


def too_large(limit: int) -> BodyTooLarge:
    """Return the error for a body beyond the limit."""
    return BodyTooLarge(f"The upload has more than {limit} bytes (server.max_upload_mb).")
