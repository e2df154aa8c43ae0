"""A reply over HTTP: bounded in time and size, without compression, and without our secrets in its errors."""

import time
from collections.abc import AsyncIterator, Mapping, Sequence

import httpx

from gateway.domain import Value
from gateway.errors import UpstreamBroken, UpstreamGarbage, UpstreamTimeout, UpstreamTooLarge
from gateway.settings import UpstreamLimits
from gateway.upstream.base import Call
from gateway.upstream.content_coding import BadCoding, Decompressor, coding_of
from gateway.upstream.wire import WireAnswer

_ERROR_BYTES = 2**20
"""Largest body of an error."""
_NAMES: dict[bytes, str] = {}
"""Names of headers as servers write them, and in lower case: they repeat from reply to reply."""
_MOST_NAMES = 256
_LONGEST_NAME = 64
_CODED_HEADERS = ("content-encoding", "content-length")
"""Headers that say nothing of a decompressed body."""


class Bounds(Value, frozen=True):
    """The limits of an upstream's replies, and the secrets that none may show."""

    name: str
    """Of the upstream."""
    first_byte_s: float
    idle_s: float
    total_s: float
    answer_bytes: int
    secrets: tuple[bytes, ...]

    @classmethod
    def of(cls, name: str, settings: UpstreamLimits, secrets: Sequence[bytes]) -> "Bounds":
        return cls(
            name=name,
            first_byte_s=settings.first_byte_timeout_s,
            idle_s=settings.idle_timeout_s,
            total_s=settings.total_timeout_s,
            answer_bytes=int(settings.max_answer_mb * 10**6),
            secrets=tuple(secrets),
        )

    def __repr__(self) -> str:
        return f"Bounds({self.name!r})"


class HttpReply:
    """Implements ``upstream.base.UpstreamReply``. ``deadline`` is on the monotonic clock."""

    __slots__ = (
        "_answer", "_bounded", "_bounds", "_coding", "_deadline", "_decompressor", "_headers", "_idle_s", "_stream",
        "status",
    )  # fmt: skip

    def __init__(self, bounds: Bounds, answer: WireAnswer, call: Call, deadline: float) -> None:
        self._bounds = bounds
        self._answer = answer
        self._stream = call.stream
        self._bounded = call.bounded
        # A server may send its headers first and work on the reply then: on all of it, if it is not streamed.
        self._idle_s = bounds.first_byte_s
        self._deadline = deadline
        self._coding = coding_of(answer.headers)
        self._decompressor: Decompressor | None = None
        self._headers: Mapping[str, str] | None = None  # not a cached_property: that takes a lock
        self.status = answer.status

    @property
    def headers(self) -> Mapping[str, str]:
        if self._headers is None:
            headers = _mapping(self._answer.headers)
            if self._coding is not None:
                headers = {name: value for name, value in headers.items() if name not in _CODED_HEADERS}
            self._headers = headers
        return self._headers

    async def read(self) -> bytes:
        is_error = self.status >= 400
        most = _ERROR_BYTES if is_error else self._bounds.answer_bytes
        body = None if self._coding is not None else self._answer.arrived()
        if body is None:
            body = await self._whole(most)
        elif len(body) > most:
            raise self._too_large(most)
        return self._masked(body) if is_error else body

    async def chunks(self) -> AsyncIterator[bytes]:
        if self.status >= 400:
            yield await self.read()
            return
        left = self._bounds.answer_bytes
        next_piece = self._received if self._coding is None else self._decompressed
        while piece := await next_piece():
            left -= len(piece)
            if left < 0 and self._bounded:
                raise self._too_large(self._bounds.answer_bytes)
            yield piece

    async def aclose(self) -> None:
        self._answer.close()

    async def _whole(self, most: int) -> bytes:
        pieces, size = [], 0
        next_piece = self._received if self._coding is None else self._decompressed
        while piece := await next_piece():
            pieces.append(piece)
            size += len(piece)
            if size > most:
                raise self._too_large(most)
        return b"".join(pieces)

    async def _decompressed(self) -> bytes:
        try:
            if self._decompressor is None:
                self._decompressor = Decompressor(self._coding or "")
            while True:
                received = b"" if self._decompressor.pending else await self._received()
                piece = self._decompressor.feed(received)
                if piece:
                    return piece
                if not received and not self._decompressor.pending:
                    self._decompressor.end()
                    return b""
        except BadCoding as error:
            raise UpstreamGarbage(
                f"upstream {self._bounds.name!r} answered in a coding that cannot be read: {error} (none was asked for)"
            ) from None

    async def _received(self) -> bytes:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise self._late(left)
        try:
            piece = await self._answer.piece(min(left, self._idle_s))
        except httpx.TimeoutException as error:
            raise self._late(left) from error
        except httpx.TransportError as error:
            raise UpstreamBroken(f"upstream {self._bounds.name!r} broke off its answer") from error
        if self._stream:
            self._idle_s = self._bounds.idle_s
        return piece

    def _masked(self, body: bytes) -> bytes:
        """Replace secrets in an error by asterisks of the same length: a server may quote the request's headers."""
        for secret in self._bounds.secrets:
            body = body.replace(secret, b"*" * len(secret))
        return body

    def _late(self, left: float) -> UpstreamTimeout:
        name = self._bounds.name
        if left < self._idle_s:
            return UpstreamTimeout(f"upstream {name!r} took longer than {self._bounds.total_s:g} s in all")
        return UpstreamTimeout(f"upstream {name!r} sent nothing for {self._idle_s:g} s")

    def _too_large(self, most: int) -> UpstreamTooLarge:
        kind = "an error" if self.status >= 400 else "an answer"
        return UpstreamTooLarge(
            f"upstream {self._bounds.name!r} sent {kind} of more than {most / 10**6:g} MB"
            + ("" if self.status >= 400 else f" (upstreams.{self._bounds.name}.max_answer_mb)")
        )


def _name(name: bytes) -> str:
    text = name.decode("latin-1").lower()
    if len(_NAMES) < _MOST_NAMES and len(name) <= _LONGEST_NAME:
        _NAMES[name] = text
    return text


def _mapping(headers: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return headers by name in lower case; repeated headers are joined as HTTP allows."""
    mapping = {_NAMES.get(name) or _name(name): value.decode("latin-1") for name, value in headers}
    if len(mapping) == len(headers):
        return mapping
    mapping.clear()
    for name, value in headers:
        key, text = _name(name), value.decode("latin-1")
        mapping[key] = f"{mapping[key]}, {text}" if key in mapping else text
    return mapping
