"""A gateway that learns, in memory: a weak model that forgets to double, a strong one that says so."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from gateway.domain import Exchange, Feedback
from gateway.services import Services
from gateway.settings import Settings
from gateway.store.base import Store
from gateway.upstream.base import Upstream
from tests.fakes import CONFIG, Answer, completion, events, read_request, services, settings
from tests.scripted import BASE_PROMPT, FOUND, GOOD_RULE

WEAK, STRONG = "tiny-1b", "huge-1t"
EXTRA = """
min_mistakes = 5
selection_items = 20
confirmation_items = 40
"""


def sums(number: int) -> tuple[str, int]:
    """A question and its answer."""
    return f"What is {1000 + number} plus twice {20 + number}?", 1000 + number + 2 * (20 + number)


def weak_reply(body: dict[str, Any]) -> str:
    """Forgets to double, unless a rule reminds it."""
    words = body["messages"][-1]["content"].split("?")[0].split()
    reminded = any(GOOD_RULE in str(message["content"]) for message in body["messages"])
    working = "Working:" in body["messages"][-1]["content"]
    return str(int(words[2]) + int(words[-1]) * (2 if reminded or working else 1))


def script(strong: str = FOUND) -> Callable[[dict[str, Any]], Answer]:
    """What the upstream answers, for both models."""
    return lambda body: strong if body["model"] == STRONG else weak_reply(body)


def learning_settings(text: str = "", data_dir: str = "./data", *, policy: str = "at_once") -> Settings:
    """The fakes' configuration with a small optimizer."""
    config = CONFIG.replace("port = 0", f'port = 0\ndata_dir = "{data_dir}"').replace("at_once", policy)
    return settings(config + EXTRA + text)


def made(upstream: Upstream, store: Store, configured: Settings) -> Services:
    """Services over one scripted upstream; the clock stands at 1000 s."""
    return services(configured, {"mock": upstream}, store, wall_clock=lambda: 1000.0)


def fill(store: Store, count: int, *, created: float = 1.0, task: str = "arithmetic", prefix: str = "x") -> None:
    """Graded traffic: what the weak model replied, and what would have been right."""
    for number in range(count):
        text, expected = sums(number)
        request = {"model": "gpt-4o-mini", "messages": [
            {"role": "system", "content": BASE_PROMPT}, {"role": "user", "content": text}]}  # fmt: skip
        store.record([
            Exchange(
                id=f"{prefix}{number}", created=created, task=task, client_model="gpt-4o-mini", model="small",
                arm="weak", rules=None, stream=False, status="ok", http_status=200, audit_rate=1.0,
                request=json.dumps(request).encode(), reply=weak_reply(request),
            )
        ])  # fmt: skip
        store.add_feedback(Feedback(exchange_id=f"{prefix}{number}", created=created, expected=expected))


async def answer_over_http(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, script: Callable[[dict[str, Any]], Answer]
) -> None:
    """A connection of an OpenAI-compatible server that answers, unstreamed or streamed, what the script says."""
    while True:
        _, _, body = await read_request(reader)
        asked = json.loads(body)
        text = script(asked)
        assert isinstance(text, str)
        if asked.get("stream"):
            kind, payload = "text/event-stream", b"".join(events([text]))
        else:
            kind, payload = "application/json", completion(text)
        head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(payload)}\r\n\r\n"
        writer.write(head.encode() + payload)
        await writer.drain()
