"""Compressed bodies: decompressed a bounded piece at a time, or refused."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream.content_coding import BadCoding, Decompressor, coding_of


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


CODINGS = [("gzip", gzip.compress), ("x-gzip", gzip.compress), ("deflate", zlib.compress), ("deflate", raw_deflate),
           (" GZIP ", gzip.compress)]  # fmt: skip


def decompressed(coding: str, pieces: list[bytes]) -> bytes:
    made, whole = Decompressor(coding), b""
    for piece in pieces:
        whole += made.feed(piece)
        while made.pending:
            whole += made.feed(b"")
    made.end()
    return whole


@pytest.mark.parametrize(("coding", "compress"), CODINGS)
@given(data=st.binary(max_size=2000), cut=st.integers(0, 50))
def test_a_body_comes_out_as_it_went_in(coding, compress, data: bytes, cut: int) -> None:  # type: ignore[no-untyped-def]
    """In whatever pieces it arrives."""
    body = compress(data)
    assert decompressed(coding, [body[:cut], body[cut:]]) == data


@pytest.mark.parametrize("compress", [zlib.compress, raw_deflate])
def test_a_body_may_come_byte_by_byte(compress) -> None:  # type: ignore[no-untyped-def]
    """The first one alone does not say which deflate it is."""
    body = compress(b"")
    assert decompressed("deflate", [body[place : place + 1] for place in range(len(body))]) == b""
    with pytest.raises(BadCoding):
        decompressed("deflate", [body[:1]])


def test_a_small_body_that_holds_a_large_one_comes_out_in_pieces() -> None:
    """A megabyte at most at a time, so that whoever reads can stop."""
    made = Decompressor("gzip")
    piece = made.feed(gzip.compress(bytes(10**8)))
    assert len(piece) <= 2**20 and made.pending


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, gzip", ""])
def test_another_coding_is_refused(coding: str) -> None:
    """It was not asked for."""
    with pytest.raises(BadCoding):
        Decompressor(coding)


@pytest.mark.parametrize(
    ("coding", "body"), [("gzip", b"plain"), ("deflate", b"\xff\xfe\xfd"), ("gzip", b"\x1f\x8b\x00")]
)
def test_garbage_is_refused(coding: str, body: bytes) -> None:
    """At once, or at its end."""
    with pytest.raises(BadCoding):
        decompressed(coding, [body, b"more"])


def test_a_body_that_ends_too_early_is_refused() -> None:
    """Half of it would pass for the whole."""
    with pytest.raises(BadCoding):
        decompressed("gzip", [gzip.compress(bytes(range(256)) * 9)[:-20]])


@pytest.mark.parametrize(
    ("headers", "coding"),
    [
        ([], None), ([(b"content-type", b"x")], None), ([(b"Content-Encoding", b"gzip")], "gzip"),
        ([(b"content-encoding", b" identity ")], None), ([(b"content-encoding", b"")], None),
    ],
)  # fmt: skip
def test_the_coding_stands_in_a_header(headers: list[tuple[bytes, bytes]], coding: str | None) -> None:
    """Of any case; identity is none."""
    assert coding_of(headers) == coding
