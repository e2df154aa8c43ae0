"""The official client, the gateway, and a real Ollama behind it. The model talks nonsense; the protocol is genuine.

Needs ``../shared/tools/ollama-server``, run once by hand (it installs itself), and the model ``smollm2-135m``.
"""

import asyncio
import contextlib
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, DefaultAsyncHttpxClient

from gateway.errors import ConfigurationError
from gateway.settings import OllamaSettings, models_dir
from gateway.upstream.model_files import resolve
from gateway.upstream.ollama import OllamaUpstream
from tests.fakes import CONFIG, Served, free_port, served

pytestmark = pytest.mark.ollama

TOOL = Path(__file__).parents[3] / "shared" / "tools" / "ollama-server"
HOME = Path(os.environ.get("PRECEPTOR_OLLAMA_HOME") or "~/.cache/preceptor-ollama").expanduser()
MESSAGES: Any = [{"role": "user", "content": "Tell me a story."}]
ADD: Any = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
PASSING = CONFIG.replace("port = 0", 'port = 0\ndefault_upstream = "mock"')


class Ollama:
    """A running server: its address and what it has logged."""

    def __init__(self, url: str, log: Path) -> None:
        self.url = url
        self._log = log

    def chats(self) -> int:
        """Chats that are over, whatever their end."""
        return self._log.read_text(errors="replace").count('POST     "/api/chat"')


@pytest.fixture(scope="module")
def ollama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ollama]:
    """A server of its own that has the model ``smol``."""
    if not TOOL.is_file():
        pytest.skip("a real Ollama is not here: it is expected in ../shared/tools, beside the checkout")
    if not (HOME / "ollama-lib").is_file():
        pytest.skip("run ../shared/tools/ollama-server once, so that it installs Ollama")
    try:
        model = resolve("smollm2-135m", models_dir())
    except ConfigurationError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("ollama")
    port = free_port()
    environment = {**os.environ, "OLLAMA_MODELS": str(folder / "models"), "OLLAMA_HOST": f"127.0.0.1:{port}"}
    environment |= {"OLLAMA_NUM_PARALLEL": "1", "PRECEPTOR_OLLAMA_HOME": str(HOME)}
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([TOOL, str(port)], env=environment, stdout=log, stderr=log)  # noqa: S603
    try:
        _wait_for(port, server)
        create: list[str | Path] = [TOOL, "create", "smol", model]
        subprocess.run(create, env=environment, check=True, capture_output=True, timeout=120)  # noqa: S603
        yield Ollama(f"http://127.0.0.1:{port}", folder / "log")
    finally:
        server.terminate()  # it ends the processes that run its models
        server.wait(20)


def _wait_for(port: int, server: "subprocess.Popen[bytes]") -> None:
    while True:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), 20):
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            pytest.fail(f"Ollama ended with status {server.wait(0.1)}")


@contextlib.asynccontextmanager
async def client(url: str, **settings: Any) -> AsyncIterator[tuple[AsyncOpenAI, Served]]:
    """The official client, which retries nothing, and the gateway in front of the server."""
    upstream = OllamaUpstream("mock", OllamaSettings(base_url=url, **settings))
    async with (
        served(upstream, PASSING) as gateway,
        DefaultAsyncHttpxClient(trust_env=False) as http,
        AsyncOpenAI(base_url=gateway.url + "/v1", api_key="any", max_retries=0, http_client=http) as made,
    ):
        yield made, gateway


async def test_a_chat(ollama: Ollama) -> None:
    """Text, counts and the reason to end are Ollama's; the id is the exchange's."""
    async with client(ollama.url, options={"num_ctx": 512}) as (ask, gateway):
        reply = await ask.chat.completions.create(model="smol", messages=MESSAGES, max_tokens=3, temperature=0)
        exchange = await gateway.recorded(reply.id)
    assert reply.usage is not None and reply.usage.completion_tokens == 3
    assert reply.usage.prompt_tokens > 3
    assert reply.choices[0].finish_reason == "length"
    assert reply.choices[0].message.content == exchange.reply
    assert exchange.usage.output_tokens == 3


async def test_a_stream(ollama: Ollama) -> None:
    """The same text as in one piece, with usage at the end."""
    async with client(ollama.url) as (ask, _):
        told: Any = {"model": "smol", "messages": MESSAGES, "max_tokens": 5, "temperature": 0, "seed": 1}
        whole = await ask.chat.completions.create(**told)
        chunks = [
            chunk
            async for chunk in await ask.chat.completions.create(
                **told, stream=True, stream_options={"include_usage": True}
            )
        ]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage is not None and chunks[-1].usage.completion_tokens == 5
    assert [chunk.choices[0].finish_reason for chunk in chunks[:-1]][-1] == "length"


async def test_a_reply_in_a_format(ollama: Ollama) -> None:
    """The schema reaches the model's grammar: even nonsense obeys it."""
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    told: Any = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    async with client(ollama.url) as (ask, _):
        reply = await ask.chat.completions.create(
            model="smol", messages=MESSAGES, response_format=told, max_tokens=40, temperature=0
        )
    assert (reply.choices[0].message.content or "").strip().startswith("{")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_model_without_tools_says_so(ollama: Ollama, stream: bool) -> None:
    """As a bad request, in Ollama's words."""
    async with client(ollama.url) as (ask, _):
        with pytest.raises(openai.BadRequestError, match="does not support tools"):
            await ask.chat.completions.create(model="smol", messages=MESSAGES, tools=[ADD], stream=stream)


@pytest.mark.parametrize("stream", [False, True])
async def test_an_unknown_model_is_not_found(ollama: Ollama, stream: bool) -> None:
    """With OpenAI's code for it."""
    async with client(ollama.url) as (ask, _):
        with pytest.raises(openai.NotFoundError) as caught:
            await ask.chat.completions.create(model="absent", messages=MESSAGES, stream=stream)
    assert caught.value.code == "model_not_found"


async def test_a_completion_and_embeddings(ollama: Ollama) -> None:
    """The client asks for base64 of its own accord; the vectors are the same without."""
    async with client(ollama.url) as (ask, _):
        completion = await ask.completions.create(model="smol", prompt="Once upon a", max_tokens=3)
        packed = await ask.embeddings.create(model="smol", input=["one", "two"])
        plain = await ask.embeddings.create(model="smol", input=["one", "two"], encoding_format="float")
        short = await ask.embeddings.create(model="smol", input="one", dimensions=8)
    assert completion.usage is not None and completion.usage.completion_tokens == 3
    for one, other in zip(packed.data, plain.data, strict=True):
        assert one.embedding == pytest.approx(other.embedding, abs=1e-6)
    assert len(short.data[0].embedding) == 8
    assert sum(value * value for value in short.data[0].embedding) == pytest.approx(1, abs=1e-5)


async def test_what_this_version_does_not_serve_is_not_found(ollama: Ollama) -> None:
    """Responses came later."""
    async with client(ollama.url) as (ask, _):
        with pytest.raises(openai.NotFoundError, match="a newer Ollama may"):
            await ask.responses.create(model="smol", input="hi")


async def test_a_server_that_is_gone() -> None:
    """An upstream error, not the gateway's own."""
    async with client(f"http://127.0.0.1:{free_port()}") as (ask, _):
        with pytest.raises(openai.InternalServerError) as caught:
            await ask.chat.completions.create(model="smol", messages=MESSAGES)
    assert (caught.value.status_code, caught.value.code) == (502, "upstream_unreachable")


@pytest.mark.parametrize("begun", [False, True], ids=["before a byte", "after a byte"])
async def test_a_client_that_hangs_up_stops_the_generation(ollama: Ollama, begun: bool) -> None:
    """So many tokens would take minutes; one model at a time, so the next reply proves that it was stopped."""
    told: Any = {"model": "smol", "messages": MESSAGES, "max_tokens": 100_000, "temperature": 3, "seed": 1}
    before = ollama.chats()
    async with client(ollama.url) as (ask, _):
        if begun:
            stream = await ask.chat.completions.create(**told, stream=True)
            await anext(aiter(stream))
            await stream.close()
        else:
            task = asyncio.create_task(ask.chat.completions.create(**told))
            await asyncio.sleep(0.5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        async with asyncio.timeout(10):
            while ollama.chats() == before:
                await asyncio.sleep(0.05)
            await ask.chat.completions.create(model="smol", messages=MESSAGES, max_tokens=1)
