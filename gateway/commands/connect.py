"""Trials of a configuration: one call to every model. Nothing is recorded."""

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from gateway.app import build_serving
from gateway.commands.data_folder import CheckResult
from gateway.completion import CompletionTrace
from gateway.errors import PreceptorError, UpstreamRefused
from gateway.formats.chat import open_chat
from gateway.formats.envelope import Envelope
from gateway.formats.plain import open_embeddings
from gateway.metrics.telemetry import Telemetry
from gateway.routing.route import plan_for
from gateway.services import Serving
from gateway.settings import Settings
from gateway.upstream.base import Call
from gateway.upstream.quirk_memory import QuirkMemory

LONGEST_S = 120.0
"""Seconds for one trial: an embedded model may have to load first."""
_NO_CHAT = (400, 404, 405, 415, 422, 501)
"""Statuses of a refusal by a model without chat, which may know embeddings."""


async def try_models(settings: Settings, longest_s: float = LONGEST_S) -> list[CheckResult]:
    """Call every model once; of a default upstream without models, list the models."""
    quirks = QuirkMemory(time.time)
    quirks.configure(settings)
    serving = build_serving(settings, Telemetry(), quirks)
    for upstream in serving.upstreams.values():
        await upstream.open()
    try:
        trials = [
            timed(f"models.{name}", functools.partial(_ask, serving, name), longest_s) for name in settings.models
        ]
        default = settings.server.default_upstream
        if default is not None and all(default not in model.every_upstream for model in settings.models.values()):
            trials.append(timed(f"upstreams.{default}", functools.partial(_list, serving, default), longest_s))
        return list(await asyncio.gather(*trials))
    finally:
        for upstream in serving.upstreams.values():
            await upstream.aclose()


async def timed(name: str, trial: Callable[[], Awaitable[str]], longest_s: float) -> CheckResult:
    """Return the result of a trial that tells its success in words, or raises ``PreceptorError``."""
    began = time.monotonic()
    try:
        async with asyncio.timeout(longest_s):
            detail = await trial()
        return CheckResult(name=name, ok=True, detail=detail, seconds=time.monotonic() - began)
    except TimeoutError:
        return CheckResult(name=name, ok=False, detail=f"no answer within {longest_s:.0f} s", seconds=longest_s)
    except UpstreamRefused as error:
        return CheckResult(name=name, ok=False, detail=_words(error), seconds=time.monotonic() - began)
    except PreceptorError as error:
        return CheckResult(name=name, ok=False, detail=error.message, seconds=time.monotonic() - began)


async def _ask(serving: Serving, name: str) -> str:
    """Ask a model for a word, or for the embedding of a word."""
    messages = [{"role": "user", "content": "Reply with the word OK."}]
    try:
        await _complete(serving, name, open_chat, {"messages": messages, "max_tokens": 16})
        return "answers"
    except UpstreamRefused as refused:
        if refused.status not in _NO_CHAT:
            raise
        try:
            await _complete(serving, name, open_embeddings, {"input": "OK"})
        except PreceptorError:
            raise refused from None
        return "answers with embeddings, not with chats"


async def _complete(serving: Serving, name: str, opened: Callable[[bytes], Envelope], fields: dict[str, Any]) -> None:
    envelope = opened(msgspec.json.encode({"model": name, **fields}))
    trace = CompletionTrace()
    await serving.completions.whole(plan_for(envelope, name, serving.settings), "check", trace)


async def _list(serving: Serving, name: str) -> str:
    reply = await serving.upstreams[name].send(Call(model="", body=b"", path="/models", method="GET"))
    try:
        await reply.read()
    finally:
        await reply.aclose()
    if reply.status in (401, 403):
        raise PreceptorError(f"refused the key (status {reply.status}): check upstreams.{name}.api_key")
    if reply.status >= 500:
        raise PreceptorError(f"answered with status {reply.status}")
    return "answers"


def _words(error: UpstreamRefused) -> str:
    """Return an upstream's own words on one line."""
    try:
        message = str(msgspec.json.decode(error.payload)["error"]["message"])
    except (msgspec.DecodeError, KeyError, TypeError):
        message = error.message
    return " ".join(message.split())
