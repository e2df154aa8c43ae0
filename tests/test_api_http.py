"""Bodies in, headers out, for the handlers that speak ASGI themselves."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.hangup import ClientGone
from gateway.api.http import error_headers, header, header_value, read_body, respond
from gateway.body_memory import BodyMemory
from gateway.errors import BadRequest, BodyTooLarge, UpstreamRefused


def scope(*headers: tuple[bytes, bytes]) -> Any:
    return {"type": "http", "headers": list(headers)}


def receiving(*pieces: bytes, gone: bool = False) -> Any:
    """A ``receive`` that hands out a body piece by piece, or breaks off before its last one."""
    messages: list[Any] = [
        {"type": "http.request", "body": piece, "more_body": gone or number < len(pieces)}
        for number, piece in enumerate(pieces, 1)
    ]
    waiting = iter([*messages, {"type": "http.disconnect"}])

    async def receive() -> Any:
        return next(waiting)

    return receive


def memory() -> BodyMemory:
    """Room for every body of these tests."""
    return BodyMemory(lambda: 10_000)


async def test_a_body_that_is_refused_is_held_no_longer() -> None:
    """A body that arrived is held until its request ends, which is for the caller to say."""
    held = memory()
    await read_body(scope(), receiving(b"abc"), 10, held)
    assert held.held == 3
    for body, gone in (([b"x" * 11], False), ([b"xyz"], True)):
        with pytest.raises((BodyTooLarge, ClientGone)):
            await read_body(scope(), receiving(*body, gone=gone), 10, held)
    assert held.held == 3


@given(st.lists(st.binary(max_size=20), min_size=1), st.integers(0, 100))
async def test_a_body_is_the_sum_of_its_pieces_within_the_limit(pieces: list[bytes], limit: int) -> None:
    """However it was cut, a body up to the limit arrives whole; one byte more is refused."""
    whole = b"".join(pieces)
    if len(whole) <= limit:
        assert await read_body(scope(), receiving(*pieces), limit, memory()) == whole
    else:
        with pytest.raises(BodyTooLarge):
            await read_body(scope(), receiving(*pieces), limit, memory())


async def test_a_body_that_is_declared_too_large_is_not_read() -> None:
    """The declared length decides before the first byte is taken."""

    async def receive() -> Any:
        raise AssertionError("it was read")

    with pytest.raises(BodyTooLarge, match="has 11 bytes; at most 10"):
        await read_body(scope((b"content-length", b"11")), receive, 10, memory())


async def test_a_body_with_too_many_values_is_not_read_to_its_end() -> None:
    """It is refused at the piece that brings them."""
    pieces = [b"[0,0,0,0,0,0,0", b",0,0,0,0,0,0,0,0,0,0"]
    with pytest.raises(BodyTooLarge, match="JSON values"):
        await read_body(scope(), receiving(*pieces, gone=True), 100, memory(), values=10)
    assert await read_body(scope(), receiving(*pieces), 100, memory(), values=17) == b"".join(pieces)
    assert await read_body(scope(), receiving(*pieces), 100, memory(), values=2, numbers=False) == b"".join(pieces)
    assert await read_body(scope(), receiving(*pieces), 100, memory()) == b"".join(pieces)


async def test_a_length_that_is_no_number_is_not_believed() -> None:
    """What is read counts."""
    assert await read_body(scope((b"content-length", "²".encode("latin-1"))), receiving(b"ab"), 10, memory()) == b"ab"


async def test_a_client_that_goes_in_the_middle_of_its_body_is_gone() -> None:
    """Half a body is no request."""
    with pytest.raises(ClientGone):
        await read_body(scope(), receiving(b"half", gone=True), 10, memory())


def test_a_header_is_found_by_its_lower_case_name() -> None:
    """The first one where it was sent twice; ``None`` where it was not."""
    sent = scope((b"x-a", b"1"), (b"x-a", b"2"), (b"x-b", b"\xe9"))
    assert (header(sent, b"x-a"), header(sent, b"x-b"), header(sent, b"x-c")) == ("1", "é", None)


@given(st.text())
def test_a_header_value_is_printable_ascii(text: str) -> None:
    """No text, whoever wrote it, can end its header or begin another one; printable text stays as it is."""
    value = header_value(text)
    assert value.isascii() and value.decode().isprintable()
    if text.isascii() and text.isprintable():
        assert value.decode() == text


def test_what_clients_act_on_is_handed_on() -> None:
    """The headers of a refusal that were chosen for the client, but for the request id, which is ours to give."""
    refused = UpstreamRefused(429, b"{}", {"retry-after": "7\r\nx: y", "x-request-id": "theirs"})
    assert error_headers(refused) == [(b"retry-after", b"7??x: y")]
    assert error_headers(BadRequest("no")) == []


async def test_a_whole_response_says_its_length() -> None:
    """One start, one body, JSON."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await respond(send, 200, b"{}", [(b"x-a", b"1")])
    assert sent == [
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"application/json"), (b"content-length", b"2"), (b"x-a", b"1")],
        },
        {"type": "http.response.body", "body": b"{}", "more_body": False},
    ]
