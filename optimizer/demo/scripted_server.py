"""An OpenAI-compatible server on loopback for scripted models: a function from a request to a reply.

Knows chat completions only, streamed or not, and counts words as tokens.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import msgspec

from optimizer.demo.loopback import loopback_server

Script = Callable[[dict[str, Any]], str]


@contextlib.asynccontextmanager
async def scripted_server(scripts: Mapping[str, Script]) -> AsyncIterator[str]:
    """Serve scripts by their model name; yields the base URL with ``/v1``."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await _answer(reader, writer, scripts)

    async with loopback_server(connected) as url:
        yield url


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, scripts: Mapping[str, Script]) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = next(
        (line.partition(b":")[2] for line in head.split(b"\r\n") if line.startswith(b"content-length:")), b"0"
    )
    received = await reader.readexactly(int(length))
    status, kind, payload = _reply(received, scripts)
    writer.write(
        f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(payload)}\r\n\r\n".encode() + payload
    )
    await writer.drain()


def _reply(received: bytes, scripts: Mapping[str, Script]) -> tuple[str, str, bytes]:
    try:
        body = msgspec.json.decode(received, type=dict[str, Any])
        text = scripts[body["model"]](body)
    except (msgspec.DecodeError, KeyError, TypeError):
        error = {"message": "a scripted model knows chat completions only", "type": "invalid_request_error"}
        return (
            "400 Bad Request",
            "application/json",
            msgspec.json.encode({"error": {**error, "param": None, "code": None}}),
        )
    asked = sum(len(str(message.get("content", "")).split()) for message in body["messages"])
    usage = {"prompt_tokens": asked, "completion_tokens": len(text.split())}
    usage["total_tokens"] = sum(usage.values())
    common = {"id": "scripted", "created": 0, "model": body["model"]}
    if not body.get("stream"):
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        whole = {**common, "object": "chat.completion", "choices": [choice], "usage": usage}
        return "200 OK", "application/json", msgspec.json.encode(whole)
    deltas: list[dict[str, Any]] = [
        {"delta": {"role": "assistant", "content": text}, "finish_reason": None},
        {"delta": {}, "finish_reason": "stop"},
    ]
    events = [{**common, "object": "chat.completion.chunk", "choices": [{"index": 0, **delta}]} for delta in deltas]
    events.append({**common, "object": "chat.completion.chunk", "choices": [], "usage": usage})
    lines = b"".join(b"data: " + msgspec.json.encode(event) + b"\n\n" for event in events)
    return "200 OK", "text/event-stream", lines + b"data: [DONE]\n\n"
