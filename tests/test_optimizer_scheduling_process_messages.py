"""What parent and child say to each other."""

import asyncio

import msgspec
import pytest

from gateway.errors import (
    BadRequest,
    Overloaded,
    PreceptorError,
    UpstreamBroken,
    UpstreamError,
    UpstreamGarbage,
    UpstreamResting,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from gateway.settings.first_file import Surroundings, first_file
from gateway.upstream.base import Call
from optimizer.scheduling.process.messages import (
    Answered,
    Ask,
    Configured,
    Failed,
    GiveUp,
    configured,
    frame,
    received,
    settings_in,
)
from tests.fakes import CONFIG, settings

SECRETS = """
[server]
admin_key = "secret-secret-secret"
counters = "valkey://user:secret-secret-secret@127.0.0.1:9/0"
[tracing]
headers = { authorization = "secret-secret-secret" }
[keys.team]
key = "secret-secret-secret"
[upstreams.other]
kind = "openai"
base_url = "http://127.0.0.1:9/v1"
api_key = "secret-secret-secret"
headers = { x-other = "secret-secret-secret" }
"""


def reader(data: bytes) -> asyncio.StreamReader:
    """What came over a line that was cut then."""
    filled = asyncio.StreamReader()
    filled.feed_data(data)
    filled.feed_eof()
    return filled


async def test_messages_arrive_as_they_were_sent() -> None:
    """Bytes of a body included, whatever they are, and then it is known that the line was cut."""
    call = Call(model="tiny", body=b"\xff\x00{}", headers=[(b"accept", b"*/*")])
    sent: list[Ask | Answered] = [
        Ask(id=1, upstream="mock", call=call),
        Answered(id=1, status=200, headers={"a": "b"}, body=b"\x00"),
    ]
    line = reader(frame(sent[0]) + frame(sent[1]))
    assert [await received(line), await received(line)] == sent
    assert await received(line) is None


@pytest.mark.parametrize("kept", [0, 3, 5])
async def test_a_message_that_breaks_off_is_the_end(kept: int) -> None:
    """In its length or behind it: the other side is gone."""
    assert await received(reader(frame(GiveUp(id=1))[:kept])) is None


@pytest.mark.parametrize("text", [first_file(Surroundings(ollama=("a", "b"))), CONFIG], ids=["example", "fakes"])
async def test_a_configuration_arrives_whole(text: str) -> None:
    """But for its keys, it is the same one."""
    given = settings(text, OPENAI_API_KEY="k" * 16, PRECEPTOR_INJECTION="off")
    arrived = await received(reader(frame(configured(given))))
    assert isinstance(arrived, Configured)
    found = settings_in(arrived)
    upstreams = {name: one.without_secrets() for name, one in given.upstreams.items()}
    assert found == msgspec.structs.replace(given, upstreams=upstreams)
    assert found.injection is False


def test_no_secret_of_the_configuration_is_sent() -> None:
    """The child asks nobody but the gateway, and nobody asks the child."""
    given = settings(CONFIG.replace("[server]\nport = 0\narm_headers = true\n", "") + SECRETS)
    assert b"secret-secret" not in frame(configured(given))
    assert msgspec.structs.asdict(given.upstreams["other"])["api_key"] is not None


@pytest.mark.parametrize(
    "kind",
    [Overloaded, UpstreamBroken, UpstreamError, UpstreamGarbage, UpstreamResting, UpstreamTimeout, UpstreamUnreachable],
)
def test_an_error_is_the_same_on_the_other_side(kind: type[PreceptorError]) -> None:
    """What is worth another try there goes by its class."""
    error = Failed.of(1, kind("it rests", headers={"retry-after": "3"})).error()
    assert type(error) is kind
    assert (error.message, error.headers) == ("it rests", {"retry-after": "3"})


def test_an_error_that_is_no_upstreams_is_worth_no_other_try() -> None:
    """It says the same and is the root of all errors."""
    assert type(Failed.of(1, BadRequest("no such model")).error()) is PreceptorError
