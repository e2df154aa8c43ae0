"""A small world for the live loop: clients, a weak model that errs by hidden concepts, a strong one, and a clock.

Nothing waits: time is what the world says it is. Requests go through the real gateway over loopback.
"""

import asyncio
import contextlib
import itertools
import json
import random
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from gateway.rules.live import refresh
from gateway.services import Services
from gateway.store.base import Store
from gateway.store.memory import MemoryStore
from optimizer.monitoring.sweep import Sweep
from optimizer.scheduling.learner import Learner, open_learner
from tests import fakes
from tests.fakes import CONFIG, FakeUpstream, settings
from tests.scripted import BASE_PROMPT
from tests.traffic import sweep_of

CURES = {
    "twice": "Double the second number before you add it.",
    "half": "Halve the second number before you add it.",
    "thrice": "Triple the second number before you add it.",
}
"""Concept -> the rule that makes the weak model see it."""
FOUND_BY_STRONG = ("twice", "half")
_TIMES = {"": 1.0, "twice": 2.0, "half": 0.5, "thrice": 3.0}
_QUESTION = re.compile(r"What is (\d+) plus (?:(twice|half|thrice) )?(\d+)\?")


@dataclass(frozen=True)
class Asked:
    """A question that a client asked, what it got, and who answered."""

    at: float
    concept: str
    right: bool
    arm: str
    rules: str
    id: str


@dataclass
class World:
    """Made by ``world``."""

    services: Services
    store: Store
    learner: Learner
    sweep: Sweep
    client: httpx.AsyncClient
    clock: list[float]
    asked: list[Asked] = field(default_factory=list)
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1000))

    async def ask(self, concept: str, **headers: str) -> Asked:
        """One client's question, a new conversation."""
        number = next(self.numbers)
        text = f"What is {number} plus {concept + ' ' if concept else ''}{2 * (number % 40) + 2}?"
        messages = [{"role": "system", "content": BASE_PROMPT}, {"role": "user", "content": text}]
        reply = await self.client.post(
            "/v1/chat/completions", json={"model": "gpt-4o-mini", "messages": messages}, headers=headers
        )
        assert reply.status_code == 200, reply.text
        got = reply.json()["choices"][0]["message"]["content"]
        told = reply.headers
        one = Asked(at=self.clock[0], concept=concept, right=got == answer(text), arm=told["x-preceptor-arm"],
                    rules=told["x-preceptor-rules"], id=told["x-request-id"])  # fmt: skip
        self.asked.append(one)
        return one

    async def tick(self) -> None:
        """One sweep over what was recorded; its decisions reach the next request."""
        await asyncio.to_thread(self.services.writer.flush, 10)
        await self.sweep.tick()
        await asyncio.to_thread(refresh, self.store, self.services.rules)

    async def learn(self) -> Any:
        """What the schedule does when it is time; ``None`` if there is nothing to learn."""
        outcome = await self.learner.learn("arithmetic")
        await asyncio.to_thread(refresh, self.store, self.services.rules)
        return outcome


def answer(text: str) -> str:
    """What is right."""
    found = _QUESTION.search(text)
    assert found is not None
    return f"{int(found[1]) + _TIMES[found[2] or ''] * int(found[3]):g}"


def weak_reply(body: dict[str, Any]) -> str:
    """Overlooks a concept unless a rule names it."""
    text = body["messages"][-1]["content"]
    found = _QUESTION.search(text)
    if found is None:
        return "I do not know."
    told = " ".join(str(message["content"]) for message in body["messages"] if message["role"] == "system")
    sees = found[2] is None or CURES[found[2]] in told
    return answer(text) if sees else str(int(found[1]) + int(found[3]))


def strong_reply(body: dict[str, Any]) -> str:
    """Answers every question right; shown mistakes, it names the concepts that it can find, and writes one rule for
    nothing."""
    text = body["messages"][-1]["content"]
    if _QUESTION.fullmatch(text):
        return answer(text)
    rules = [
        {"rule": CURES[concept], "reason": "It was overlooked."} for concept in FOUND_BY_STRONG if f"{concept} " in text
    ]
    return json.dumps([*rules, {"rule": "Write every number in digits.", "reason": "It looks better."}])


def models(
    weak: Callable[[dict[str, Any]], str] = weak_reply, strong: Callable[[dict[str, Any]], str] = strong_reply
) -> FakeUpstream:
    return FakeUpstream(lambda body: weak(body) if body["model"] == "tiny-1b" else strong(body))


def configured(folder: Path, *, task: str, optimizer: str = "") -> str:
    """The fakes' configuration with a task that lives."""
    text = CONFIG.replace("port = 0", f'port = 0\ndata_dir = "{folder}"')
    text = text.replace('rollout = { policy = "at_once", holdback = 0 }\n', task)
    return text + "min_mistakes = 10\nselection_items = 20\nconfirmation_items = 60\n" + optimizer


@contextlib.asynccontextmanager
async def world(
    text: str, upstream: FakeUpstream, *, store: Store | None = None, began: float = 1e9
) -> AsyncIterator[World]:
    """A gateway with its optimizer, driven by hand."""
    clock, ids = [began], itertools.count()
    store = store if store is not None else MemoryStore()
    made = fakes.services(
        settings(text), {"mock": upstream}, store, wall_clock=lambda: clock[0],
        new_id=lambda prefix: f"{prefix}{next(ids):08}",
    )  # fmt: skip
    async with (
        fakes.gateway(made) as url,
        fakes.loopback_client(url) as client,
        open_learner(made.learner_context()) as learner,
        sweep_of(made, learner) as sweep,
    ):
        yield World(made, store, learner, sweep, client, clock)


def traffic(randomness: random.Random, mix: Mapping[str, float]) -> str:
    """A concept drawn from a mix."""
    return randomness.choices(list(mix), weights=list(mix.values()))[0]
