"""A client of the gateway on Python's own ``http.client``: the quick demo needs no further package."""

import asyncio
import http.client
import time
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import msgspec

from optimizer.demo.contract import MODEL, ClientReply, RequestFailed, as_they_arrive
from optimizer.demo.problems import Problem

_TIMEOUT_S = 60.0
_AGAIN_S = (0.5, 1.0, 2.0, 4.0)
"""Pauses before feedback is sent again: a busy machine's store may not answer in time (503)."""


class NotNow(RequestFailed):
    """A request to be sent again."""


class PlainClient:
    """A client of the gateway at ``base_url`` (without ``/v1``). Implements ``DemoClient``."""

    def __init__(self, base_url: str, prompt: str) -> None:
        self._address = urlsplit(base_url).netloc
        self._prompt = prompt

    async def ask(self, problem: Problem, *, learn: bool = True) -> ClientReply:
        began = time.monotonic()
        body, headers = await self._post("/v1/chat/completions", self._chat(problem), learn=learn)
        try:
            completion = msgspec.json.decode(body)
            return ClientReply(
                id=completion["id"],
                text=completion["choices"][0]["message"]["content"] or "",
                output_tokens=(completion.get("usage") or {}).get("completion_tokens", 0),
                latency_s=time.monotonic() - began,
                rules=headers.get("x-preceptor-rules", "none"),
            )
        except (msgspec.DecodeError, KeyError, IndexError, TypeError) as error:
            raise RequestFailed(f"the reply is no chat completion: {body[:200]!r}") from error

    async def ask_all(
        self, problems: Sequence[Problem], *, concurrency: int, learn: bool = True
    ) -> AsyncIterator[tuple[int, ClientReply]]:
        async for pair in as_they_arrive(partial(self.ask, learn=learn), problems, concurrency=concurrency):
            yield pair

    async def stream(self, problem: Problem) -> str:
        body, headers = await self._post("/v1/chat/completions", {**self._chat(problem), "stream": True}, learn=False)
        if not body.rstrip().endswith(b"data: [DONE]"):
            raise RequestFailed("the stream ended before the reply was complete")
        return headers.get("x-preceptor-rules", "none")

    async def feedback(self, exchange_id: str, expected: int | str) -> None:
        for pause_s in _AGAIN_S:
            try:
                await self._post("/v1/feedback", {"id": exchange_id, "expected": expected})
            except NotNow:
                await asyncio.sleep(pause_s)
            else:
                return
        await self._post("/v1/feedback", {"id": exchange_id, "expected": expected})

    async def close(self) -> None:
        """Close nothing: each request has a connection of its own."""

    def _chat(self, problem: Problem) -> dict[str, Any]:
        messages = [{"role": "system", "content": self._prompt}, {"role": "user", "content": problem.question}]
        return {"model": MODEL, "messages": messages, "temperature": 0}

    async def _post(self, path: str, body: dict[str, Any], *, learn: bool = True) -> tuple[bytes, dict[str, str]]:
        """Post a body; without ``learn`` (and without feedback) the exchange is kept out of learning."""
        headers = {"content-type": "application/json"} | ({} if learn else {"x-preceptor-learn": "off"})
        return await asyncio.to_thread(self._send, path, msgspec.json.encode(body), headers)

    def _send(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[bytes, dict[str, str]]:
        connection = http.client.HTTPConnection(self._address, timeout=_TIMEOUT_S)
        try:
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            received = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise RequestFailed(f"{path}: {error}") from error
        finally:
            connection.close()
        if response.status != 200:
            failed = NotNow if response.status == 503 else RequestFailed
            raise failed(f"{path}: {response.status} {received[:200]!r}")
        return received, {name.lower(): value for name, value in response.getheaders()}
