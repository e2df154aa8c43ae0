"""Drill: the README's own first example. Clients send ``{"id": ..., "expected": ...}`` for wrong replies, no more.

A request every 90 seconds, some 1,000 a day; the default roll-out; no reply is compared with the strong model's. What
the watch says is held against what is true, which the script of the models knows.
"""

import contextlib
import json
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.domain import Evidence, Measured, Rule, RuleSet
from gateway.rules.decisions import put_live
from optimizer.distillation.publish import publish
from tests.world import CURES, Asked, World, answer, configured, models, traffic, weak_reply, world

TASK = "arithmetic"
MIX = {"": 0.7, "twice": 0.3}
BAD = "Keep to the style of the house in every reply."


def weak(body: dict[str, Any]) -> str:
    """The scripted weak model; under the bad rule every reply is wrong, and looks like any other."""
    told = " ".join(str(message["content"]) for message in body["messages"] if message["role"] == "system")
    return "17" if BAD in told else weak_reply(body)


class Readme:
    """A gateway with callers who complain of wrong replies."""

    def __init__(self, here: World) -> None:
        self.world, self._randomness = here, random.Random(4)

    async def requests(self, count: int) -> list[Asked]:
        """Requests with feedback as the README teaches it, and a sweep with every fifth."""
        asked = []
        for number in range(count):
            self.world.clock[0] += 90
            one = await self.world.ask(concept := traffic(self._randomness, MIX))
            asked.append(one)
            if not one.right:
                await self.complain(one, concept)
            if number % 5 == 4:
                await self.world.tick()
        return asked

    async def complain(self, asked: Asked, concept: str) -> None:
        exchange = self.world.store.exchange(asked.id)
        if exchange is None:
            self.world.services.writer.flush(10)
            exchange = self.world.store.exchange(asked.id)
        assert exchange is not None
        question = json.loads(exchange.request)["messages"][-1]["content"]
        body = {"id": asked.id, "expected": float(answer(question))}
        reply = await self.world.client.post("/v1/feedback", json=body)
        assert reply.status_code < 300, reply.text

    @property
    def serving(self) -> set[int | None]:
        split = self.world.store.traffic_splits().get(TASK)
        return {rules.version for rules in (split.live, split.canary) if rules is not None} if split else set()

    @property
    def said(self) -> str:
        note: dict[str, Any] = json.loads(self.world.store.note(f"live/{TASK}") or b"{}")
        return "\n".join(note.get("lines", []))


@contextlib.asynccontextmanager
async def readme(folder: Path) -> AsyncIterator[Readme]:
    async with world(configured(folder, task=""), models(weak)) as here:
        yield Readme(here)


def rules(*texts: str) -> RuleSet:
    return RuleSet(task=TASK, rules=tuple(Rule(text=text) for text in texts))


async def test_a_rule_set_that_breaks_every_reply_is_taken_off_by_corrections_alone(tmp_path: Path) -> None:
    """Activated by hand for everybody: 199 of 200 wrong replies once stayed live without an alarm."""
    async with readme(tmp_path) as here:
        await here.requests(60)
        here.world.store.publish(rules(BAD))
        put_live(here.world.store, TASK, 1, now=here.world.clock[0], by="person", why="it looked fine")
        here.world.services.rules.swap(here.world.store.traffic_splits(), here.world.store.revision())
        asked = await here.requests(150)
        harmed = [one for one in asked if one.rules == "1" and not one.right]
        assert here.serving == set() and 0 < len(harmed) <= 60
        last = here.world.store.history(TASK)[-1]
        assert (last.kind, last.version, last.by) == ("live", None, "watch")


@pytest.mark.parametrize("share", [0.05, 0.25])
async def test_a_trial_that_breaks_every_reply_ends_by_corrections_alone(tmp_path: Path, share: float) -> None:
    """22 of 22 wrong trial replies were once read as no harm."""
    async with readme(tmp_path) as here:
        await here.requests(60)
        measured = Measured(accuracy=0.7, n=60)
        fooled = Evidence(
            verdict="better", before=measured, after=Measured(accuracy=0.9, n=60), fixed=12, broken=0, items_used=60,
            p_value=0.001, interval=(0.1, 0.3), note="it looked better",
        )  # fmt: skip
        now = here.world.clock[0]
        publish(
            here.world.store, rules(BAD), fooled, incumbent=None, share=share, started=now, now=now, by="cycle"
        )  # fmt: skip
        here.world.services.rules.swap(here.world.store.traffic_splits(), here.world.store.revision())
        asked = await here.requests(900)
        harmed = [one for one in asked if one.rules == "1" and not one.right]
        assert here.serving == set() and 0 < len(harmed) <= 60
        last = here.world.store.history(TASK)[-1]
        assert (last.kind, last.share, last.by) == ("canary", 0.0, "watch") and "complaints" in last.why


async def test_rules_that_help_go_live_and_what_was_said_is_true(tmp_path: Path) -> None:
    """The trial waits until complaints could have shown harm; the measured gain is not claimed from complaints."""
    async with readme(tmp_path) as here:
        before = await here.requests(100)
        evidence = Evidence(
            verdict="better", before=Measured(accuracy=0.7, n=60), after=Measured(accuracy=1.0, n=60), fixed=18,
            broken=0, items_used=60, p_value=0.001, interval=(0.2, 0.4),
        )  # fmt: skip
        now = here.world.clock[0]
        publish(
            here.world.store, rules(CURES["twice"]), evidence, incumbent=None, share=0.05, started=now, now=now,
            by="cycle",
        )  # fmt: skip
        here.world.services.rules.swap(here.world.store.traffic_splits(), here.world.store.revision())
        await here.requests(3000)
        after = await here.requests(200)
        kinds = [(entry.kind, entry.share) for entry in here.world.store.history(TASK) if entry.kind != "audit"]
        assert kinds[:4] == [("canary", 0.05), ("canary", 0.25), ("live", 1.0), ("holdback", 0.1)]
        assert sum(one.right for one in before) / len(before) < 0.8
        taught = [one for one in after if one.arm == "weak"]
        assert taught and all(one.right for one in taught)
        assert "labels came for wrong replies only: they can show harm, and no gain" in here.said
        assert "harm: " not in here.said and "refused" not in here.said
