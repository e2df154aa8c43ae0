"""Several requests on one connection, however they arrive: each has its own answer, in its turn."""

import asyncio
from typing import Any

import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.server import ServerState

from gateway.http_server.connection import MAX_HEAD, HttpProtocol
from tests.connections import GET, HEAD, LAST, Far, bodies, measured, path_of, said, serving


async def test_requests_in_a_row_are_answered_in_their_order() -> None:
    """Also where they arrive at once and the first one takes longest."""
    async with serving(application=path_of) as port:
        answer = await said(port, GET % b"1" + GET % b"2" + LAST % b"3")
    assert bodies(answer) == [b"/1", b"/2", b"/3"]


async def test_what_follows_a_last_request_is_ignored() -> None:
    """It does not spoil the answer to the one before."""
    async with serving(application=path_of) as port:
        assert bodies(await said(port, LAST % b"1" + b"what is this?\r\n\r\n")) == [b"/1"]


async def test_nonsense_behind_a_request_ends_the_connection_with_its_answer() -> None:
    """A refusal in between would be taken for the answer."""
    async with serving(application=path_of) as port:
        assert bodies(await said(port, GET % b"1" + b"what is this?\r\n\r\n")) == [b"/1"]


@pytest.mark.parametrize("offer", [b"websocket", b"h2c"])
async def test_an_offer_to_speak_something_else_is_not_taken_up(offer: bytes) -> None:
    """The request that makes it is answered, and so is the next one."""
    offering = b"GET /1 HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: " + offer + b"\r\n\r\n"
    async with serving(application=path_of) as port:
        assert bodies(await said(port, offering + LAST % b"2")) == [b"/1", b"/2"]


async def test_an_offer_does_not_cost_the_request_its_body() -> None:
    """Clients that know HTTP/2 make one with their first request, whatever that is."""
    offering = HEAD + b"connection: Upgrade, HTTP2-Settings, close\r\nupgrade: h2c\r\nhttp2-settings: AA\r\n"
    async with serving() as port:
        assert bodies(await said(port, offering + b"content-length: 4\r\n\r\nb", b"ody")) == [b"4"]


@pytest.mark.parametrize(
    "behind", [b"}", GET % b"2", b"GET /2 HTTP/1.1\r\nx: " + b"y" * (MAX_HEAD + 1)], ids=["garbage", "another", "long"]
)
async def test_a_hang_up_is_heard_whatever_came_behind_the_request(behind: bytes) -> None:
    """Only who reads on hears of it."""
    asked, heard = asyncio.Event(), asyncio.Event()

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        asked.set()
        while (await receive())["type"] != "http.disconnect":
            pass
        heard.set()

    async with serving(application=application) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET % b"1" + behind)
        await writer.drain()
        async with asyncio.timeout(10):
            await asked.wait()
            await asyncio.sleep(0.02)
            writer.close()
            await heard.wait()


async def test_a_row_of_offers_takes_no_more_than_other_requests() -> None:
    """Neither memory nor depth."""
    offering = b"GET /x HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n"
    async with serving(application=path_of) as port:
        assert len(bodies(await said(port, offering * 2000 + LAST % b"2"))) == 2001


async def test_an_old_client_that_offers_something_else_is_an_old_client_still() -> None:
    """It waits for the end of the connection."""
    async with serving(application=path_of) as port:
        old = b"GET /1 HTTP/1.0\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n"
        assert bodies(await said(port, old)) == [b"/1"]


def answered(pieces: list[bytes]) -> bytes:
    """What a connection answers to bytes that arrive in these pieces."""

    async def play() -> bytes:
        config = uvicorn.Config(measured, http=HttpProtocol, ws="none", lifespan="off", log_config=None)
        config.load()
        connection, client = HttpProtocol(config, ServerState(), {}), Far()
        connection.connection_made(client)
        for piece in pieces:
            if not client.closed:
                connection.data_received(piece)
            await asyncio.sleep(0)
        while not client.closed:
            await asyncio.sleep(0)
        connection.connection_lost(None)
        return client.got

    return asyncio.run(play())


ROW = (
    GET % b"a"
    + HEAD
    + b"content-length: 4\r\n\r\nbody"
    + HEAD
    + b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    + HEAD
    + b"connection: upgrade\r\nupgrade: h2c\r\ncontent-length: 3\r\n\r\nxyz"
    + LAST % b"z"
)


@given(st.lists(st.integers(1, len(ROW) - 1), max_size=12, unique=True).map(sorted))
def test_it_does_not_matter_how_requests_were_cut_on_the_way(cuts: list[int]) -> None:
    """Wherever the network, or somebody who means no good, has cut them."""
    pieces = [ROW[start:end] for start, end in zip([0, *cuts], [*cuts, len(ROW)], strict=True)]
    assert bodies(answered(pieces)) == [b"GET /a ", b"POST / body", b"POST / abcde", b"POST / xyz", b"GET /z "]
