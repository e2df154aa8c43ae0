"""A request and its response: what an application may rely on, and what reaches the wire."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import pytest

from gateway.http_server.request_head import Header, Scope
from gateway.http_server.request_response import Transaction

LENGTH = (b"content-length", b"2")
OK = {"type": "http.response.start", "status": 200, "headers": [LENGTH]}


class Wire:
    """A connection that writes down what is done with it. Implements ``request_response.ClientConnection``."""

    def __init__(self) -> None:
        self.held_up = False
        self.writes: list[bytes] = []
        self.reading: list[bool] = []
        self.responses = 0

    def common_headers(self) -> Iterable[Header]:
        return [(b"date", b"today")]

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    async def drained(self) -> None:
        self.held_up = False

    def read_on(self, wanted: bool) -> None:
        self.reading.append(wanted)

    def responded(self, transaction: Transaction) -> None:
        self.responses += 1

    def ended(self, transaction: Transaction) -> None: ...

    @property
    def head(self) -> list[bytes]:
        return b"".join(self.writes).partition(b"\r\n\r\n")[0].split(b"\r\n")

    @property
    def body(self) -> bytes:
        return b"".join(self.writes).partition(b"\r\n\r\n")[2]


def start(status: int = 200, *headers: Header) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def piece(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}


async def sent(*messages: dict[str, Any], method: str = "GET", old: bool = False) -> tuple[Wire, Transaction]:
    """What these messages of an application become."""
    wire = Wire()
    transaction = Transaction(wire, method, old=old)
    for message in messages:
        await transaction.send(message)
    return wire, transaction


async def test_head_and_body_leave_in_one_write() -> None:
    """Two cost the kernel, and the client, twice."""
    wire, transaction = await sent(OK, piece(b"88"))
    assert wire.writes == [b"HTTP/1.1 200 OK\r\ndate: today\r\ncontent-length: 2\r\n\r\n88"]
    assert transaction.complete and wire.responses == 1


async def test_nothing_is_written_before_the_first_piece() -> None:
    """So that an application that fails until then can still be answered for."""
    wire, transaction = await sent(OK)
    assert wire.writes == [] and not transaction.written


async def test_a_body_without_a_length_is_sent_in_chunks() -> None:
    """Each as it comes; an empty piece is none, because an empty chunk ends the body."""
    wire, _ = await sent(start(), piece(b"eighty", more=True), piece(b"", more=True), piece(b"-eight"), method="POST")
    assert b"transfer-encoding: chunked" in wire.head
    assert wire.body == b"6\r\neighty\r\n6\r\n-eight\r\n0\r\n\r\n"


async def test_an_old_client_is_sent_no_chunks() -> None:
    """HTTP/1.0 has none: the connection ends with the body."""
    wire, transaction = await sent(start(), piece(b"88"), old=True)
    assert wire.body == b"88" and b"connection: close" in wire.head and not transaction.keep_alive


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_some_responses_have_no_body(method: str, status: int) -> None:
    """Whatever the application says: the next response would begin in it."""
    wire, _ = await sent(start(status), piece(b"88"), method=method)
    assert wire.body == b"" and not any(line.startswith(b"transfer-encoding") for line in wire.head)


async def test_a_length_that_was_only_asked_for_is_told() -> None:
    """HEAD is answered with GET's headers."""
    wire, transaction = await sent(OK, piece(b"88"), method="HEAD")
    assert b"content-length: 2" in wire.head and wire.body == b"" and transaction.complete


@pytest.mark.parametrize("bodies", [[b"888"], [b"8"], [b"88", b"8"]], ids=["too long", "too short", "too long later"])
async def test_a_body_is_as_long_as_was_said(bodies: list[bytes]) -> None:
    """Else the client waits, or takes the rest for another response."""
    messages = [piece(body, more=number < len(bodies)) for number, body in enumerate(bodies, 1)]
    with pytest.raises(RuntimeError, match="content-length"):
        await sent(OK, *messages)


@pytest.mark.parametrize("bad", [b"a\r\nset-cookie: b", b"a\nb", b"a\rb", b"a\0b"])
async def test_one_header_cannot_become_two(bad: bytes) -> None:
    """Whoever wrote its value, and whatever the application thinks of it."""
    with pytest.raises(RuntimeError, match="header"):
        await sent(start(200, (b"x-name", bad)))


async def test_a_whole_response_is_written_at_once() -> None:
    """The bytes are those of its messages; nothing follows it."""
    wire = Wire()
    transaction = Transaction(wire, "GET")
    assert transaction.respond(200, [LENGTH], b"88")
    messages, _ = await sent(OK, piece(b"88"))
    assert wire.writes == messages.writes and transaction.complete
    assert not transaction.respond(200, [LENGTH], b"88")


async def test_a_slow_client_s_response_is_not_written_at_once() -> None:
    """Nor is one for a client that is gone, but nobody needs to send that."""
    wire = Wire()
    wire.held_up = True
    transaction = Transaction(wire, "GET")
    assert not transaction.respond(200, [LENGTH], b"88") and not wire.writes
    wire.held_up = False
    transaction.lose()
    assert transaction.respond(200, [LENGTH], b"88") and not wire.writes


async def test_a_body_that_is_here_is_taken_without_a_message() -> None:
    """Once, and only whole; an empty body is one, too."""
    transaction = Transaction(Wire(), "POST")
    transaction.feed(b"he")
    assert transaction.short_body() is None
    transaction.feed(b"llo")
    transaction.feed_end()
    assert (transaction.held, transaction.short_body(), transaction.held) == (5, b"hello", 0)
    assert transaction.short_body() is None
    empty = Transaction(Wire(), "POST")
    empty.feed_end()
    assert empty.short_body() == b""


async def test_a_head_that_is_refused_leaves_no_trace() -> None:
    """The next one decides about the body."""
    wire = Wire()
    transaction = Transaction(wire, "GET")
    with pytest.raises(RuntimeError, match="header"):
        await transaction.send(start(200, (b"x-name", b"a\nb"), (b"connection", b"close")))
    await transaction.send(OK)
    await transaction.send(piece(b"88"))
    assert wire.body == b"88" and transaction.keep_alive


@pytest.mark.parametrize(
    "messages", [[piece(b"88")], [OK, OK], [OK, piece(b"88"), piece(b"")], [OK, {"type": "http.response.trailers"}]]
)
async def test_messages_come_in_their_order(messages: list[dict[str, Any]]) -> None:
    """A response has one head, then its body, then nothing."""
    with pytest.raises(RuntimeError, match="does not fit"):
        await sent(*messages)


async def test_an_application_may_end_the_connection() -> None:
    """The header is said once."""
    wire, transaction = await sent(start(200, (b"connection", b"Close"), (b"content-length", b"2")), piece(b"88"))
    assert not transaction.keep_alive
    assert [line for line in wire.head if b"connection" in line] == [b"connection: close"]


async def test_a_slow_client_is_waited_for_before_more_is_written() -> None:
    """What it does not take is kept in memory."""
    wire = Wire()
    wire.held_up = True
    transaction = Transaction(wire, "GET")
    await transaction.send(OK)
    assert not wire.held_up


async def ran(application: Any) -> tuple[Wire, Transaction]:
    wire = Wire()
    transaction = Transaction(wire, "GET")
    await transaction.run(application, {})
    return wire, transaction


async def test_what_an_application_raises_is_a_500_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
    """They may quote a prompt; the log has where it happened."""

    async def application(scope: Scope, receive: Any, send: Any) -> None:
        await send(OK)
        raise ValueError("secret")

    wire, transaction = await ran(application)
    assert wire.head[0] == b"HTTP/1.1 500 Internal Server Error" and b"connection: close" in wire.head
    assert json.loads(wire.body)["error"]["message"] == "internal error"
    assert transaction.complete and not transaction.keep_alive and "a request failed" in caplog.text


@pytest.mark.parametrize("begun", [True, False], ids=["in the middle", "before it began"])
async def test_a_response_that_is_left_undone_ends_the_connection(
    begun: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """A client that was promised more must not wait for it."""

    async def application(scope: Scope, receive: Any, send: Any) -> None:
        if begun:
            await send(start())
            await send(piece(b"88", more=True))

    wire, transaction = await ran(application)
    assert transaction.complete and not transaction.keep_alive and wire.responses == 1
    assert wire.body == b"2\r\n88\r\n" if begun else wire.head[0].startswith(b"HTTP/1.1 500")
    assert "left without its response" in caplog.text


async def test_a_request_is_received_as_it_comes() -> None:
    """What has arrived together is handed over together."""
    transaction = Transaction(Wire(), "POST")
    transaction.feed(b"a")
    transaction.feed(b"b")
    assert await transaction.receive() == {"type": "http.request", "body": b"ab", "more_body": True}
    waiting = asyncio.create_task(transaction.receive())
    await asyncio.sleep(0)
    transaction.feed_end()
    assert await waiting == {"type": "http.request", "body": b"", "more_body": False}


async def test_behind_the_request_there_is_only_the_end() -> None:
    """Of the response, or of the connection; whoever waits hears of it."""
    for end in (Transaction.lose, Transaction._end):
        transaction = Transaction(Wire(), "POST")
        transaction.feed_end()
        assert (await transaction.receive())["more_body"] is False
        waiting = asyncio.create_task(transaction.receive())
        await asyncio.sleep(0)
        assert not waiting.done()
        end(transaction)
        assert await waiting == {"type": "http.disconnect"}


async def test_a_long_body_is_not_read_ahead_without_bound() -> None:
    """Reading pauses until the application has taken what is there."""
    wire = Wire()
    transaction = Transaction(wire, "POST")
    transaction.feed(b"x" * 65_537)
    assert wire.reading == [False]
    await transaction.receive()
    assert wire.reading == [False, True]


async def test_a_client_that_asks_is_told_to_go_on_once_somebody_listens() -> None:
    """Expect: 100-continue; not where the answer is there first."""
    wire = Wire()
    transaction = Transaction(wire, "POST", expects=True)
    transaction.feed(b"a")
    await transaction.receive()
    assert wire.writes == [b"HTTP/1.1 100 Continue\r\n\r\n"]
    refused = Wire()
    transaction = Transaction(refused, "POST", expects=True)
    await transaction.send(OK)
    await transaction.send(piece(b"88"))
    await transaction.receive()
    assert not any(b"100 Continue" in data for data in refused.writes)


async def test_a_client_that_is_gone_is_told_of_once_and_not_written_to() -> None:
    """Not where it has its response."""
    told: list[str] = []
    wire = Wire()
    transaction = Transaction(wire, "POST")
    transaction.on_lost = lambda: told.append("gone")
    transaction.lose()
    await transaction.send(OK)
    await transaction.send(piece(b"88"))
    assert told == ["gone"] and wire.writes == [] and transaction.disconnected
    _, answered = await sent(OK, piece(b"88"))
    answered.on_lost = lambda: told.append("late")
    answered.lose()
    assert told == ["gone"] and not answered.disconnected
