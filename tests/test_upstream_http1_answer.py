"""An HTTP/1.1 answer, fed byte by byte and without a socket: what is one, what is none, and who waits for what."""

import asyncio
import contextlib
import gc
import weakref
from collections.abc import Sequence

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.upstream.http1_answer import AnswerParser, Http1Answer

ANSWERS = {
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Empty:\r\n\r\nhello": b"hello",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2;a=b\r\nhe\r\n3\r\nllo\r\n0\r\nX-Sum: 1\r\n\r\n": b"hello",
    b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nhello": b"hello",
    b"HTTP/1.1 204 No Content\r\n\r\n": b"",
    b"HTTP/1.1 200 OK\nContent-Length: 5\nX-Empty:\n\nhello": b"hello",
}
"""Whole answers, and the bodies in them."""
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Tap:
    """A source that remembers what it was told."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.holds: list[bool] = []
        self.is_cut = False
        self.reusable: bool | None = None
        self.answer: Http1Answer | None = None

    def wake_at(self, deadline: float) -> None:
        self.loop.call_at(deadline, self._wake)

    def _wake(self) -> None:
        if self.answer is not None:
            self.answer.late(self.loop.time())

    def hold(self, held: bool) -> None:
        self.holds.append(held)

    def cut(self) -> None:
        self.is_cut = True

    def done(self, *, reusable: bool) -> None:
        assert self.reusable is None, "it was done before"
        self.reusable = reusable


def begin(*, bodiless: bool = False) -> tuple[Tap, Http1Answer]:
    tap = Tap()
    return tap, Http1Answer(tap, AnswerParser(), bodiless=bodiless)


def feed(tap: Tap, answer: Http1Answer, pieces: Sequence[bytes]) -> None:
    """What a connection does with what arrives before the server closes it."""
    for piece in pieces:
        if answer.complete or tap.is_cut:
            return
        answer.feed(piece)
    answer.feed_end()
    answer.end(httpx.ReadError("closed"))


async def read(answer: Http1Answer) -> bytes:
    await answer.begun(asyncio.get_running_loop().time() + 5)
    body = b""
    while piece := await answer.piece(5):
        body += piece
    return body


async def outcome(pieces: Sequence[bytes]) -> bytes:
    tap, answer = begin()
    feed(tap, answer, pieces)
    return await read(answer)


@given(st.sampled_from(list(ANSWERS)), st.lists(st.integers(1, 40), max_size=30))
def test_an_answer_may_be_split_anywhere(whole: bytes, sizes: list[int]) -> None:
    """Where packets begin and end changes nothing, be it in the middle of a head, a chunk's size or a trailer."""
    pieces, rest = [], whole
    for size in sizes:
        pieces.append(rest[:size])
        rest = rest[size:]
    assert asyncio.run(outcome([*filter(None, pieces), rest])) == ANSWERS[whole]


@given(
    st.sampled_from(list(ANSWERS)), st.integers(0, 120), st.integers(0, 10), st.binary(max_size=20) | st.just(b"\r\n")
)
@settings(max_examples=300)
def test_whatever_a_server_says_is_an_answer_or_an_error(whole: bytes, start: int, cut: int, put: bytes) -> None:
    """An answer with a hole or with noise in it is read, or is an error of httpx's; nothing else is raised or hangs."""
    with contextlib.suppress(httpx.ReadError, httpx.RemoteProtocolError):
        asyncio.run(outcome([whole[:start] + put + whole[start + cut :]]))


@given(st.sampled_from(list(ANSWERS)), st.data())
def test_a_part_of_an_answer_is_never_the_whole(whole: bytes, data: st.DataObject) -> None:
    """Cut off anywhere, an answer is an error, unless it is one that only the end of the connection ends."""
    part = whole[: data.draw(st.integers(0, len(whole) - 1))]
    if b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n" in part:
        return
    with pytest.raises(httpx.ReadError):
        asyncio.run(outcome([part]))


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n X-Folded: 1\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\nX: 1\r\n",
        b"HTTP/1.1 200 OK\r\nX: 1\nContent-Length: 2\r\n",
        b"HTTP/1.1 099 OK\r\nContent-Length: 2\r\n",
        b"HTTP/1.1 102 Processing\r\nContent-Length: 2\r\n",
    ],
)
async def test_what_could_be_read_in_two_ways_is_garbage(head: bytes) -> None:
    """No leniency: a length given twice, even if both say the same, and whatever else the standard forbids."""
    with pytest.raises(httpx.RemoteProtocolError):
        await outcome([head + b"\r\nok"])


@pytest.mark.parametrize(
    "start",
    [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 ", CHUNKED + b"2\r\nok\r\n0\r\nX: ", CHUNKED + b"2\r\nok\r\n1;"],
    ids=["a header", "a reason", "a trailer", "an extension of a chunk"],
)
async def test_what_is_not_body_is_bounded(start: bytes) -> None:
    """Something without end is garbage, not memory, before the body and behind it."""
    tap, answer = begin()
    feed(tap, answer, [start, *[b"x" * 1000] * 100])
    with pytest.raises(httpx.RemoteProtocolError):
        await read(answer)
    assert tap.is_cut


async def test_lines_may_end_with_lf_alone_if_the_first_does() -> None:
    """Some servers write so; their connection is not used again, because such a head can be read in two ways."""
    for whole, reusable in ((b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", False), (OK, True)):
        tap, answer = begin()
        feed(tap, answer, [whole])
        assert await read(answer) == b"ok"
        answer.close()
        assert tap.reusable is reusable


async def test_interim_answers_are_bounded() -> None:
    """Early hints for ever are garbage, too."""
    tap, answer = begin()
    feed(tap, answer, [b"HTTP/1.1 103 Early Hints\r\nX: 1\r\n\r\n"] * 10_000)
    with pytest.raises(httpx.RemoteProtocolError):
        await read(answer)


async def test_a_body_may_be_of_any_length() -> None:
    """The bound is for what is not body."""
    assert len(await outcome([CHUNKED, *[b"3e8\r\n" + b"x" * 1000 + b"\r\n"] * 1000, b"0\r\n\r\n"])) == 1_000_000


async def test_headers_arrive_as_they_were_sent() -> None:
    """In order, repeated ones and empty ones, too; those of interim answers and trailers are left out."""
    tap, answer = begin()
    early = b"HTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nX-Was:  a \r\nX-Empty:\r\nx-was: b\r\nTransfer-Encoding: chunked\r\n\r\n"
    feed(tap, answer, [early, head, b"0\r\nX-Trailer: 1\r\n\r\n"])
    assert await read(answer) == b""
    assert answer.headers == [
        (b"X-Was", b"a"),
        (b"X-Empty", b""),
        (b"x-was", b"b"),
        (b"Transfer-Encoding", b"chunked"),
    ]


@pytest.mark.parametrize(
    ("arrived", "reusable"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
        (CHUNKED + b"0\r\n\r\n", True),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", False),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", False),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n", True),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", True),
        (b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok?", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", False),
        (CHUNKED + b"2\r\nok\r\n", False),
    ],
)
async def test_a_connection_is_reusable_only_behind_a_clean_end(arrived: bytes, reusable: bool) -> None:
    """The answer was whole, nothing followed it, and neither side said that it was the last."""
    tap, answer = begin()
    answer.feed(arrived)
    assert tap.reusable is None
    answer.close()
    answer.close()
    assert tap.reusable is reusable


@pytest.mark.parametrize("status", [b"200 OK", b"404 Not Found"])
async def test_an_answer_to_head_has_no_body(status: bytes) -> None:
    """Whatever length it announces; a body that follows all the same is nobody's."""
    tap, answer = begin(bodiless=True)
    answer.feed(b"HTTP/1.1 %s\r\nContent-Length: 2\r\n\r\nno" % status)
    assert await read(answer) == b""
    answer.close()
    assert tap.reusable is False


async def test_a_source_is_held_while_too_much_waits_to_be_read() -> None:
    """And let go when it was read: memory does not grow with the slowness of a reader."""
    tap, answer = begin()
    answer.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 200_000)
    assert tap.holds == []
    answer.feed(b"x" * 200_000)
    assert tap.holds == [True]
    assert len(await answer.piece(5)) == 400_000
    assert tap.holds == [True, False]


async def test_what_arrived_before_a_failure_is_read_first() -> None:
    """Nothing is lost but what never came."""
    _, answer = begin()
    answer.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello")
    answer.end(httpx.ReadError("lost"))
    await answer.begun(asyncio.get_running_loop().time() + 5)
    assert await answer.piece(5) == b"hello"
    for _ in range(2):
        with pytest.raises(httpx.ReadError, match="lost"):
            await answer.piece(5)


@pytest.mark.parametrize("begun", [False, True], ids=["for the head", "for the body"])
async def test_a_wait_ends_in_time(begun: bool) -> None:
    """``ReadTimeout``; and without a head the source is of no use any more."""
    tap, answer = begin()
    tap.answer = answer
    if begun:
        answer.feed(CHUNKED)
        with pytest.raises(httpx.ReadTimeout):
            await answer.piece(0.01)
    else:
        with pytest.raises(httpx.ReadTimeout):
            await answer.begun(asyncio.get_running_loop().time() + 0.01)
    assert tap.is_cut is not begun


async def test_a_wait_goes_on_until_its_own_deadline() -> None:
    """A look before the deadline says when to look again; nobody waits, nothing to say."""
    _, answer = begin()
    now = asyncio.get_running_loop().time()
    assert answer.late(now) is None
    waiting = asyncio.create_task(answer.begun(now + 60))
    await asyncio.sleep(0)
    assert answer.late(now) == now + 60 and not waiting.done()
    assert answer.late(now + 60) is None
    with pytest.raises(httpx.ReadTimeout):
        await waiting


async def test_a_body_that_is_here_is_read_without_a_wait() -> None:
    """Once; a part of a body, or more than is read ahead, is waited for."""
    _, answer = begin()
    answer.feed(CHUNKED + b"2\r\nhe\r\n")
    assert answer.arrived() is None
    answer.feed(b"3\r\nllo\r\n0\r\n\r\n")
    assert (answer.arrived(), answer.arrived()) == (b"hello", b"")


async def test_a_reader_is_woken_when_the_answer_is_closed() -> None:
    """Its connection may be another's by then: it hears nothing of that."""
    _, answer = begin()
    answer.feed(CHUNKED)
    reading = asyncio.create_task(answer.piece(5))
    await asyncio.sleep(0)
    answer.close()
    with pytest.raises(httpx.ReadError, match="closed"):
        await reading


async def test_an_answer_leaves_nothing_for_the_garbage_collector() -> None:
    """Answer and parser point at each other only while the answer is under way."""
    gc.disable()
    try:
        for arrived in (*ANSWERS, CHUNKED):
            _, answer = begin()
            answer.feed(arrived)
            answer.close()
            there = weakref.ref(answer)
            del answer
            assert there() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("then", ANSWERS)
@pytest.mark.parametrize("first", ANSWERS)
async def test_a_parser_begins_anew_behind_an_answer_with_a_usable_connection(first: bytes, then: bytes) -> None:
    """Whatever framing the two have."""
    parser, tap = AnswerParser(), Tap()
    answer = Http1Answer(tap, parser, bodiless=False)
    answer.feed(first)
    answer.close()
    if not tap.reusable:
        return
    tap = Tap()
    following = Http1Answer(tap, parser, bodiless=False)
    feed(tap, following, [then[:20], then[20:]])
    assert await read(following) == ANSWERS[then]
