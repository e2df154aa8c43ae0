"""Spans as a collector of others reads them: Rotel, which takes OTLP and prints what it understood."""

import asyncio
import contextlib
import importlib.util
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.metrics.spans import Tracer, sender
from tests.fakes import CONFIG, FakeUpstream, asked, free_port, served

_FOUND = importlib.util.find_spec("rotel")
TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"

pytestmark = pytest.mark.skipif(_FOUND is None, reason="no collector: the package rotel has no wheel for this machine")


@contextlib.asynccontextmanager
async def collector(folder: Path) -> AsyncIterator[tuple[int, asyncio.StreamReader]]:
    """Yield the port of a collector that is running, and what it prints."""
    assert _FOUND is not None and _FOUND.origin is not None
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        str(Path(_FOUND.origin).with_name("rotel-agent")), "start", "--exporter", "blackhole",
        "--otlp-http-endpoint", f"127.0.0.1:{port}", "--otlp-grpc-endpoint", f"127.0.0.1:{free_port()}",
        "--debug-log", "traces", "--debug-log-verbosity", "detailed", "--pid-file", str(folder / "pid"),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env={},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        await listening(port)
        yield port, process.stdout
    finally:
        process.terminate()
        await process.wait()


async def listening(port: int) -> None:
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.02)


async def read_until(output: asyncio.StreamReader, text: str) -> str:
    """Return everything that was printed up to a line with this text."""
    said = ""
    async with asyncio.timeout(60):
        while text not in said:
            line = await output.readline()
            assert line, f"the collector ended:\n{said}"
            said += line.decode()
    return said


@pytest.mark.parametrize("stream", [False, True])
async def test_a_collector_reads_the_span_of_an_exchange(tmp_path: Path, stream: bool) -> None:
    """Ids, kind, times and attributes, each as what it is."""
    upstream = FakeUpstream(lambda body: "4")
    headers = {"traceparent": f"00-{TRACE}-{CALLER}-01", "x-client-request-id": 'mine "and" yours'}
    async with collector(tmp_path) as (port, output), served(upstream, CONFIG) as gateway:
        gateway.services.tracer = tracer = Tracer(sender(f"http://127.0.0.1:{port}", {}))
        reply = await gateway.client.post("/v1/chat/completions", json=asked(stream=stream), headers=headers)
        await asyncio.to_thread(tracer.flush)
        said = await read_until(output, "preceptor.client_request_id")
    handed_on = upstream.calls[0].traceparent.decode().split("-")
    about = dict(re.findall(r"^ *(\w[\w ]*?) *: (.*?) *$", said, re.MULTILINE))
    assert (about["Trace ID"], about["Parent ID"], about["ID"]) == (TRACE, CALLER, handed_on[2])
    assert (handed_on[1], about["Kind"], about["Name"]) == (TRACE, "SPAN_KIND_SERVER", "chat small")
    assert 0 < int(about["Start time"]) <= int(about["End time"])
    facts = dict(re.findall(r"-> (\S+): (.*)", said))
    assert facts["service.name"] == "Str(preceptor)" and facts["preceptor.task"] == "Str(arithmetic)"
    assert facts["gen_ai.response.id"] == f"Str({reply.headers['x-request-id']})"
    assert (facts["gen_ai.usage.output_tokens"], facts["http.response.status_code"]) == ("Int(3)", "Int(200)")
    assert facts["preceptor.client_request_id"] == 'Str(mine "and" yours)'
    assert facts["preceptor.overhead_ms"].startswith("Double(")
