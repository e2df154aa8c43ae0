"""Drill: a house changes its policy half-way. The loop notices, sets old labels aside, relearns and replaces the list.

The true rules are known (``house_policy``). The weak model fills in every form rightly and knows no policy; the strong
one knows both policies and writes down whichever explains more of the records that it is shown.
"""

import json
import re
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway.domain import RuleSet
from optimizer.scheduling.changes import CHANGED
from tests.bench.distillation.house_policy import (
    DESKS,
    VALUES,
    PolicyRule,
    Ticket,
    base_prompt,
    changed_policy,
    decided_by,
    draw_policy,
    tickets,
)
from tests.bench.distillation.policy_score import score_list
from tests.fakes import CONFIG, FakeUpstream
from tests.test_bench_house_policy import sheet
from tests.world import World, world

SEED: Final = 20261129
TASK: Final = "arithmetic"
BEFORE = draw_policy(6, SEED)
AFTER = changed_policy(BEFORE, SEED)
EACH_DAY: Final = 40
"""Tickets a day, every one labelled."""


def config(folder: Path) -> str:
    """A task with an audit of every request; a proven version goes live at once."""
    text = CONFIG.replace("port = 0", f'port = 0\ndata_dir = "{folder}"').replace('"numeric"', '"exact"')
    text = text.replace("holdback = 0 }\n", "holdback = 0 }\naudit = { share = 1.0 }\n" + f"labels = {list(DESKS)}\n")
    return f"{text}min_mistakes = 10\nselection_items = 20\nconfirmation_items = 60\nrounds = 1\n"


def filled_in(message: str) -> str:
    """The form about a ticket, without a mistake."""
    listed = {field: next(value for value in values if value in message) for field, values in VALUES.items()}
    days, paid = re.search(r"(\d+) days", message), re.search(r"(\d+) euros", message)
    assert days is not None and paid is not None
    return json.dumps({**listed, "days": int(days[1]), "paid": int(paid[1])})


def weak(body: dict[str, Any]) -> str:
    text = str(body["messages"][-1]["content"])
    if "Fill in this form" in text:
        return filled_in(text)
    decided = re.search(r"right answer is: (\w+)", text)
    return decided[1] if decided else DESKS[0]


def strong(body: dict[str, Any]) -> str:
    """The policy that explains more of the records, as a form with a list; no rule in words."""
    asked = str(body["messages"][-1]["content"])
    if "decision list" not in asked:
        return "I see no rule."
    records = re.findall(r"<question>(.*?)</question>.*?<expected>(\w+)</expected>", asked, re.DOTALL)
    votes = {policy: sum(desk_of(policy, text) == desk for text, desk in records) for policy in (BEFORE, AFTER)}
    return json.dumps({"worksheet": msgspec.to_builtins(sheet(max(votes, key=votes.__getitem__)))})


def desk_of(policy: tuple[PolicyRule, ...], message: str) -> str:
    form = json.loads(filled_in(message))
    ticket = next(ticket for ticket in KNOWN if ticket.message in message)
    assert form["days"] == ticket.facts.days
    return policy[decided_by(policy, ticket.facts)].desk


KNOWN: list[Ticket] = list(islice(tickets(BEFORE, 1), 800))


class House:
    """A day's tickets after the other, each answered and labelled by the policy of the day."""

    def __init__(self, here: World) -> None:
        self.world = here
        self._tickets = iter(KNOWN)

    async def day(self, policy: tuple[PolicyRule, ...]) -> float:
        """Ask and label; return the share of right replies. Then the watch and the schedule look."""
        here, right = self.world, 0
        for ticket in islice(self._tickets, EACH_DAY):
            here.clock[0] += 2000
            messages = [{"role": "system", "content": base_prompt()}, {"role": "user", "content": ticket.message}]
            reply = await here.client.post("/v1/chat/completions", json={"model": "gpt-4o-mini", "messages": messages})
            desk = policy[decided_by(policy, ticket.facts)].desk
            right += reply.json()["choices"][0]["message"]["content"] == desk
            here.services.writer.flush(10)
            told = {"id": reply.headers["x-request-id"], "expected": desk, "labeller": "ann"}
            assert (await here.client.post("/v1/feedback", json=told)).status_code == 200
        await here.tick()
        await here.learn()
        return right / EACH_DAY

    @property
    def live(self) -> RuleSet | None:
        return self.world.store.active().get(TASK)


async def test_a_change_of_policy_is_noticed_and_relearnt(tmp_path: Path) -> None:
    """All true rules before, all true rules after, and a replaced list: nothing of the old policy is measured again."""
    upstream = FakeUpstream(lambda body: strong(body) if body["model"] == "huge-1t" else weak(body))
    async with world(config(tmp_path), upstream) as here:
        house = House(here)
        before = [await house.day(BEFORE) for _ in range(3)]
        first = house.live
        assert first is not None and first.worksheet is not None
        assert score_list(BEFORE, first.worksheet).recalled == 7
        changed = here.clock[0]
        after = [await house.day(AFTER) for _ in range(4)]
        second, noted = house.live, CHANGED.read(here.store, TASK)
    assert before[-1] == 1.0 and after[0] < 0.9 and after[-1] == 1.0
    assert noted is not None and noted.version == first.version
    assert changed - EACH_DAY * 2000 / 4 <= noted.since <= changed + EACH_DAY * 2000
    assert second is not None and second.worksheet is not None and second.version > first.version
    assert score_list(AFTER, second.worksheet).recalled == 7 > score_list(BEFORE, second.worksheet).recalled
    assert not second.rules and second.parent == first.version
