"""Compressed answers of servers that compress unasked. Requests say ``accept-encoding: identity``.

Decompresses gzip and deflate, a bounded piece at a time: a megabyte of gzip can hold a gigabyte of zeros.
"""

import zlib
from collections.abc import Sequence

_STEP = 2**20
"""Largest piece, in bytes, out of a decompression step."""
_WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 47}
"""For zlib: 31 takes a gzip header only, 47 gzip's or zlib's."""


class BadCoding(Exception):
    """The body is not in its declared coding."""


class Decompressor:
    """A body in pieces. Raises ``BadCoding`` for any coding but gzip and deflate."""

    def __init__(self, coding: str) -> None:
        self._name = coding.strip().lower()
        if self._name not in _WINDOW_BITS:
            raise BadCoding(self._name)
        self._zlib = zlib.decompressobj(_WINDOW_BITS[self._name])
        self._begun = False
        self._first = b""
        """The first byte of a body that may begin with zlib's header, which has two."""

    @property
    def pending(self) -> bool:
        """More bytes can come without further input."""
        return bool(self._zlib.unconsumed_tail)

    def feed(self, data: bytes) -> bytes:
        """Return decompressed bytes, at most a megabyte. Call it with ``b""`` while ``pending``."""
        data = self._first + self._zlib.unconsumed_tail + data
        self._first = b""
        if not data:
            return b""
        if len(data) == 1 and self._name == "deflate" and not self._begun:
            self._first = data  # zlib would take it, and could not give it back to be read as raw deflate
            return b""
        try:
            piece = self._zlib.decompress(data, _STEP)
        except zlib.error as error:
            if self._begun or self._name != "deflate":
                raise BadCoding(self._name) from error
            self._zlib = zlib.decompressobj(-15)  # raw deflate, as some servers understand the name
            self._begun = True
            return self.feed(data)
        self._begun = True
        return piece

    def end(self) -> None:
        """Take the end of the body. Raises ``BadCoding`` if the compressed data goes on."""
        if self._first or (self._begun and not self._zlib.eof):
            raise BadCoding(self._name)


def coding_of(headers: Sequence[tuple[bytes, bytes]]) -> str | None:
    """Return the content coding among raw headers; ``None`` for a plain body."""
    for name, value in headers:
        if len(name) == 16 and name.lower() == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            return value.decode("latin-1")
    return None
