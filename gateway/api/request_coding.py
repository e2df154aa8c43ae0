"""Compressed request bodies: gzip and deflate are decompressed within the limits of a body, other codings get 415."""

from gateway.body_memory import BodyMemory
from gateway.errors import BadRequest, BodyTooLarge, PreceptorError, UnsupportedCoding
from gateway.formats.json_values import SMALLEST, ValueCount
from gateway.upstream.content_coding import BadCoding, Decompressor

_BRACE = b"{"
_TAKEN = frozenset({"gzip", "x-gzip", "deflate"})


def decompressed(
    body: bytes, coding: str, limit: int, bodies: BodyMemory, *, values: int, numbers: bool = True
) -> bytes:
    """Return a body as it was before its ``content-encoding``.

    ``bodies`` counts the result in the body's place. A JSON object under a wrong header is taken as it is. Raises
    ``UnsupportedCoding``, ``BodyTooLarge`` beyond ``limit`` bytes or ``values`` JSON values, ``Overloaded`` or
    ``BadRequest``.
    """
    name = coding.strip().lower()
    if name in ("", "identity") or body.lstrip()[:1] == _BRACE:
        return body
    if name not in _TAKEN:
        raise UnsupportedCoding("Request bodies may be compressed with gzip or deflate.", code="unsupported_encoding")
    before = bodies.held
    try:
        plain = _plain(body, name, limit, bodies)
        if len(plain) > values * SMALLEST:
            ValueCount(values, numbers=numbers).feed(plain)
    except BadCoding:
        bodies.free(bodies.held - before)
        raise BadRequest(f"The body is not in its content-encoding: {name}.") from None
    except PreceptorError:
        bodies.free(bodies.held - before)
        raise
    bodies.free(len(body))
    return plain


def _plain(body: bytes, name: str, limit: int, bodies: BodyMemory) -> bytes:
    pieces, size, reader = list[bytes](), 0, Decompressor(name)
    data = body
    while True:
        piece = reader.feed(data)
        size += len(piece)
        bodies.take(len(piece))
        if size > limit:
            raise BodyTooLarge(f"The body has more than {limit} bytes.")
        pieces.append(piece)
        if not piece and not reader.pending:
            break
        data = b""
    reader.end()
    return b"".join(pieces)
