"""Drill: two tenants correct replies, the schedule learns examples or a worksheet, and nobody sees another's text.

Requests, feedback and the scheduled cycle all take the ways that a team's own would: HTTP, keys, the store, the
scheduler. Every reply is corrected by two people.
"""

import hashlib
import json
import random
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from gateway.domain import RuleSet
from gateway.rules.live import refresh
from gateway.store.selection import Selection
from optimizer.commands.forget import forget_exchanges
from optimizer.scheduling.scheduler import Scheduler
from tests.fakes import CONFIG, FakeUpstream
from tests.world import World, world

TASK = "arithmetic"
KEYS = {name: f"sk-preceptor-{name}-of-a-drill" for name in ("shop", "bank")}
DESKS = {
    "shop": {"lamp": "north", "sofa": "south", "chair": "east"},
    "bank": {"loan": "harbour", "card": "castle", "cash": "market"},
}
DESK_OF = DESKS["shop"] | DESKS["bank"]
SYSTEM = "Send the ticket to a desk. Reply with the desk alone."
QUESTIONS = 90
"""Of each tenant."""
SHEET = {
    "schema": {
        "type": "object", "required": ["subject"],
        "properties": {"subject": {"type": "string", "enum": [*DESK_OF, "none"], "description": "What it is about."}},
    },
    "decisions": [
        *({"when": f'subject == "{subject}"', "result": desk} for subject, desk in DESK_OF.items()),
        {"when": "", "result": "north"},
    ],
}  # fmt: skip


def config(folder: Path) -> str:
    """Two tenants, a task with an audit of every request, and rule sets that go live by themselves."""
    text = CONFIG.replace("port = 0", f'port = 0\ndata_dir = "{folder}"').replace('"numeric"', '"exact"')
    text = text.replace("holdback = 0 }\n", "holdback = 0 }\naudit = { share = 1.0 }\n")
    keys = "".join(
        f'[keys.{name}]\nhash = "sha256:{hashlib.sha256(key.encode()).hexdigest()}"\n' for name, key in KEYS.items()
    )
    return f"{text}min_mistakes = 10\nselection_items = 20\nconfirmation_items = 60\n{keys}"


def subject_of(text: str) -> str:
    return next((subject for subject in DESK_OF if f"my {subject} " in text), "none")


def by_examples(body: dict[str, Any]) -> str:
    """The weak model: it knows a desk from an example about the same thing only."""
    turns = [(turn["role"], str(turn["content"])) for turn in body["messages"]]
    subject = subject_of(turns[-1][1])
    solved = {subject_of(asked): answer for (_, asked), (role, answer) in pairwise(turns) if role == "assistant"}
    return solved.get(subject, "front")


def by_worksheet(body: dict[str, Any]) -> str:
    """The weak model: it can fill in a form and repeat a decision, and no more."""
    text = str(body["messages"][-1]["content"])
    if "Fill in this form" in text:
        return json.dumps({"subject": subject_of(text)})
    decided = re.search(r"right answer is: (.*)", text)
    return decided[1] if decided else "front"


def designer(body: dict[str, Any]) -> str:
    """The strong model: it designs a form where it is asked for one, and sees no rule."""
    asked = str(body["messages"][-1]["content"])
    return json.dumps({"why": "By the thing.", "worksheet": SHEET}) if "worksheet" in asked else "I see no rule."


class Office:
    """Two tenants at work."""

    def __init__(self, here: World) -> None:
        self.world = here
        self._random = random.Random(7)
        self.texts: dict[str, list[str]] = {name: [] for name in KEYS}
        self.ids: dict[str, list[str]] = {name: [] for name in KEYS}

    def ticket(self, tenant: str) -> str:
        """A text of a tenant, with words that no other text has."""
        letters = "abdefgiklmnoprstu"
        words = ["".join(self._random.choices(letters, k=6)) for _ in range(5)]
        return f"{words[0]} {words[1]} my {self._random.choice(list(DESKS[tenant]))} {' '.join(words[2:])}"

    async def ask(self, tenant: str, text: str, **more: Any) -> httpx.Response:
        """A request with the tenant's key."""
        self.world.clock[0] += 1
        messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": text}]
        reply = await self.world.client.post(
            "/v1/chat/completions", json={"model": "gpt-4o-mini", "messages": messages, **more},
            headers={"authorization": f"Bearer {KEYS[tenant]}"},
        )  # fmt: skip
        assert reply.status_code == 200, reply.text
        return reply

    async def work(self) -> None:
        """Ask every question, and have two people correct the reply."""
        for _ in range(QUESTIONS):
            for tenant in KEYS:
                text = self.ticket(tenant)
                self.texts[tenant].append(text)
                reply = await self.ask(tenant, text)
                self.ids[tenant].append(reply.headers["x-request-id"])
                for labeller in ("ann", "ben"):
                    await self.label(tenant, self.ids[tenant][-1], DESK_OF[subject_of(text)], labeller)

    async def label(self, tenant: str, exchange: str, desk: str, labeller: str) -> None:
        """Correct a reply, as soon as it is in the store."""
        self.world.services.writer.flush(10)
        reply = await self.world.client.post(
            "/v1/feedback", json={"id": exchange, "expected": desk, "labeller": labeller},
            headers={"authorization": f"Bearer {KEYS[tenant]}"},
        )  # fmt: skip
        assert reply.status_code == 200, reply.text

    async def schedule(self) -> RuleSet:
        """One look of the scheduler; returns what is live then."""
        await Scheduler(self.world.services.learner_context(), self.world.learner).once()
        refresh(self.world.store, self.world.services.rules)
        return self.world.store.active()[TASK]


def models(weak: Callable[[dict[str, Any]], str], strong: Callable[[dict[str, Any]], str]) -> FakeUpstream:
    return FakeUpstream(lambda body: strong(body) if body["model"] == "huge-1t" else weak(body))


def shown(upstream: FakeUpstream) -> str:
    """Everything but the question in the last request to the weak model."""
    return json.dumps(upstream.bodies[-1]["messages"][1:-1])


async def test_examples_are_learnt_by_schedule_and_shown_to_their_own_tenant_alone(tmp_path: Path) -> None:
    """Both tenants get better by their own texts; an end user that a client names sees none; texts can be revoked."""
    upstream = models(by_examples, lambda body: "I see no rule.")
    async with world(config(tmp_path), upstream) as here:
        office = Office(here)
        await office.work()
        live = await office.schedule()
        assert live.examples and live.evidence is not None and live.evidence.verdict == "better"
        assert not any(example.shared for example in live.examples)
        for tenant, other in (("shop", "bank"), ("bank", "shop")):
            right = 0
            for _ in range(20):
                text = office.ticket(tenant)
                reply = await office.ask(tenant, text)
                right += reply.json()["choices"][0]["message"]["content"] == DESK_OF[subject_of(text)]
                assert any(own in shown(upstream) for own in office.texts[tenant])
                assert not any(foreign in shown(upstream) for foreign in office.texts[other])
            assert right >= 18
        await office.ask("shop", office.ticket("shop"), user="zoe")
        assert not any(own in shown(upstream) for own in office.texts["shop"])
        await revoke(office, live)
        asked = office.ticket("shop")
        await office.ask("shop", asked)
        assert not any(own in shown(upstream) for own in office.texts["shop"])


async def revoke(office: Office, live: RuleSet) -> None:
    """Forget everything of the shop."""
    here, selection = office.world, Selection(key="shop")
    exchanges, _ = here.store.select(selection, 0, limit=9999)
    forgotten = forget_exchanges(here.store, here.services.settings, selection, exchanges, now=here.clock[0])
    assert forgotten.examples == (f"{TASK} {live.version}",)
    refresh(here.store, here.services.rules)


async def test_a_worksheet_is_learnt_by_schedule_and_holds_nobodys_text(tmp_path: Path) -> None:
    """It serves both tenants; the strong model's form and decisions quote no ticket."""
    upstream = models(by_worksheet, designer)
    async with world(config(tmp_path), upstream) as here:
        office = Office(here)
        await office.work()
        live = await office.schedule()
        assert live.worksheet is not None and not live.examples
        written = msgspec.json.encode(live.worksheet).decode()
        assert not any(text in written for texts in office.texts.values() for text in texts)
        for tenant, other in (("shop", "bank"), ("bank", "shop")):
            for _ in range(10):
                text, before = office.ticket(tenant), len(upstream.bodies)
                reply = await office.ask(tenant, text)
                assert reply.json()["choices"][0]["message"]["content"] == DESK_OF[subject_of(text)]
                sent = json.dumps(upstream.bodies[before:])
                assert not any(foreign in sent for foreign in (*office.texts[tenant], *office.texts[other]))


@pytest.mark.parametrize("labellers", [("ann",), ("ann", "ann")])
async def test_a_single_persons_word_makes_no_example(labellers: tuple[str, ...], tmp_path: Path) -> None:
    """However often it is given."""
    async with world(config(tmp_path), models(by_examples, lambda body: "I see no rule.")) as here:
        office = Office(here)
        for _ in range(60):
            text = office.ticket("shop")
            for labeller in labellers:
                reply = await office.ask("shop", text)
                await office.label("shop", reply.headers["x-request-id"], DESK_OF[subject_of(text)], labeller)
        await Scheduler(here.services.learner_context(), here.learner).once()
        assert here.store.cycles(TASK, limit=1) and here.store.active() == {}
