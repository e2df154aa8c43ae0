"""Forms that name a model: sound, images. The name counts as in JSON, and everything else arrives as it was sent."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.api.placing import is_naming
from tests.fakes import CONFIG, FakeReply, FakeUpstream, served
from tests.test_api_upload import Sink, before

OPEN = CONFIG.replace("port = 0", 'port = 0\ndefault_upstream = "mock"')
TYPE = {"content-type": "multipart/form-data; boundary=x"}


def form(*fields: tuple[str, bytes]) -> bytes:
    return b"".join(
        b'--x\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n'
        % (name.encode(), b'; filename="a.wav"' if name == "file" else b"", value)
        for name, value in fields
    ) + b"--x--\r\n"  # fmt: skip


def upstream() -> FakeUpstream:
    return FakeUpstream(lambda body: FakeReply(200, [b"{}"], {}))


@pytest.mark.parametrize(
    ("model", "sent"),
    [("small", b"tiny-1b"), ("gpt-4o-mini", b"tiny-1b"), ("task:arithmetic", b"tiny-1b"), ("whisper-1", b"whisper-1")],
)
@pytest.mark.parametrize("path", ["/v1/audio/transcriptions", "/v1/images/edits", "/v1/files"])
async def test_a_configured_name_means_the_same_in_a_form(path: str, model: str, sent: bytes) -> None:
    """A model's or a task's; another name arrives as it came."""
    server, sound = upstream(), bytes(range(256)) * 9
    async with served(server, OPEN) as gateway:
        body = form(("file", sound), ("model", model.encode()), ("language", b"de"))
        await gateway.client.post(path, content=body, headers=TYPE)
    assert server.raw_bodies == [form(("file", sound), ("model", sent), ("language", b"de"))]


@pytest.mark.parametrize("body", [form(("file", b"x")), b"no form", b"", b"--x\r\n"])
async def test_a_form_without_a_model_arrives_as_it_came(body: bytes) -> None:
    """And so does what only calls itself a form."""
    server = upstream()
    async with served(server, OPEN) as gateway:
        await gateway.client.post("/v1/audio/transcriptions", content=body, headers=TYPE)
        await gateway.client.post(
            "/v1/audio/transcriptions", content=form(("model", b"small")), headers={**TYPE, "content-encoding": "zstd"}
        )
    assert server.raw_bodies == [body, form(("model", b"small"))]


@pytest.mark.parametrize(
    ("deployment", "body", "sent"),
    [
        ("small", form(("file", b"x")), form(("model", b"tiny-1b"), ("file", b"x"))),
        ("small", form(("file", b"x"), ("model", b"y")), form(("file", b"x"), ("model", b"tiny-1b"))),
        ("whisper", form(("file", b"x")), form(("model", b"whisper"), ("file", b"x"))),
    ],
)
async def test_a_deployments_name_goes_before_the_forms(deployment: str, body: bytes, sent: bytes) -> None:
    """As Azure reads it; OpenAI's upstreams want it in the form."""
    server = upstream()
    async with served(server, OPEN) as gateway:
        path = f"/openai/deployments/{deployment}/audio/transcriptions?api-version=1"
        reply = await gateway.client.post(path, content=body, headers=TYPE)
    assert reply.status_code == 200 and server.raw_bodies == [sent] and server.calls[0].query == ""


async def in_pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 2**16):
        yield body[start : start + 2**16]


async def sent_large(path: str, body: bytes, *, length: bool) -> tuple[Sink, int]:
    """Send a form as an upload; return what arrived, and the most bytes that were held meanwhile."""
    sink, most = Sink(), 0
    async with before(sink) as gateway:
        headers = {**TYPE, **({"content-length": str(len(body))} if length else {})}

        async def watched() -> AsyncIterator[bytes]:
            nonlocal most
            async for piece in in_pieces(body):
                most = max(most, gateway.services.bodies.held)
                yield piece

        reply = await gateway.client.post(path, content=watched(), headers=headers)
        assert reply.status_code == 200 and gateway.services.bodies.held == 0
    return sink, most


@pytest.mark.parametrize("length", [True, False], ids=["of known length", "chunked"])
async def test_a_large_form_is_held_until_its_model_has_come(length: bool) -> None:
    """The length follows the new name."""
    body = form(("model", b"small"), ("file", b"s" * 3_000_000))
    sink, most = await sent_large("/v1/audio/transcriptions", body, length=length)
    assert sink.size == len(body) + len("tiny-1b") - len("small") and most < 300_000
    assert (b"content-length: " in sink.head.lower()) is length


async def test_a_model_beyond_the_limit_of_bodies_is_not_sought() -> None:
    """The form goes on as it came, to the default upstream; no more than the limit is held."""
    body = form(("file", b"s" * 3_000_000), ("model", b"small"))
    sink, most = await sent_large("/v1/audio/transcriptions", body, length=True)
    assert sink.size == len(body) and most <= 1_000_000 + 2**17


@pytest.mark.parametrize(("path", "naming"), [(b"/v1/audio/translations", True), (b"/v1/images/edits", True),
                                              (b"/v1/files", False), (b"/v1/uploads/1/parts", False)])  # fmt: skip
def test_files_to_be_stored_name_no_model(path: bytes, naming: bool) -> None:
    """So they are never held."""
    assert is_naming(path) is naming


async def test_too_many_bodies_refuse_the_next_and_are_given_back() -> None:
    """A form that is held counts as every body."""
    sink: Any = Sink()
    async with before(sink, "max_bodies_mb = 1") as gateway:
        body = form(("file", b"s" * 3_000_000), ("model", b"small"))
        gateway.services.bodies.take(900_000)
        reply = await gateway.client.post("/v1/audio/transcriptions", content=in_pieces(body), headers=TYPE)
        assert reply.status_code == 503 and gateway.services.bodies.held == 900_000
