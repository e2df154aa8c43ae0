"""Drill: a rule set that breaks a fifth of the answers is on the air, by hand or on trial, and nobody looks.

A request a second, a sweep every five. The bounds for signs of failure are the 95% quantiles in ``docs/rollout.md``
(``python -m tests.bench.live.rollouts``). What only the other model can see takes longer, because half of the requests
are compared and a label counts against labels only.
"""

import contextlib
import hashlib
import json
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.domain import Evidence, Measured, Rule, RuleSet
from optimizer.distillation.publish import publish
from tests.world import CURES, World, configured, models, traffic, weak_reply, world

KEY = "an-admin-key-for-drills"
TASK = "arithmetic"
MIX = {"": 0.5, "twice": 0.4, "thrice": 0.1}
"""Version 1 cures ``twice``; ``thrice`` stays wrong, and is nobody's fault."""
BEFORE = 300
BEFORE_LABELLED = 900
"""Requests before the activation where only labels can tell: half of them have one."""
BAD = "Keep to the style of the house in every reply."
BROKEN = {"refusal": "I'm sorry, but I can't help with that.", "empty": "", "wrong": "17"}


@dataclass(frozen=True)
class Bound:
    """What the drill promises: requests that only the rule set made wrong, and minutes until it is off the air."""

    harmed: int
    minutes: float


REFUSALS = Bound(harmed=40, minutes=5)
HALF_COMPARED = Bound(harmed=120, minutes=12)
REFUSALS_ON_TRIAL = Bound(harmed=15, minutes=40)


def breaks(how: str, seed: int) -> Callable[[dict[str, Any]], str]:
    """The weak model; under the bad rule a fifth of its answers, chosen by a hash of the question, is broken."""

    def reply(body: dict[str, Any]) -> str:
        told = " ".join(str(message["content"]) for message in body["messages"] if message["role"] == "system")
        unlucky = hashlib.sha256(f"{seed} {body['messages'][-1]['content']}".encode()).digest()[0] < 256 / 5
        return BROKEN[how] if BAD in told and unlucky else weak_reply(body)

    return reply


def rules(*texts: str) -> RuleSet:
    return RuleSet(task=TASK, rules=tuple(Rule(text=text) for text in texts))


class Drill:
    """A world in which version 1 has served some hundred requests."""

    def __init__(self, here: World, seed: int) -> None:
        self.world = here
        self._randomness = random.Random(seed)

    async def requests(self, count: int, *, until: Callable[[], bool] = lambda: False) -> None:
        """So many, unless it comes to hold."""
        for number in range(count):
            self.world.clock[0] += 1
            await self.world.ask(traffic(self._randomness, MIX))
            if number % 5 == 4:
                await self.world.tick()
                if until():
                    return

    async def activate(self, version: int) -> None:
        """By hand, over the admin API."""
        reply = await self.world.client.post(
            "/admin/rules/activate", json={"task": TASK, "version": version, "why": "it looked fine"},
            headers={"authorization": f"Bearer {KEY}"},
        )  # fmt: skip
        assert reply.status_code == 200, reply.text

    def is_over(self) -> bool:
        """Whether version 2 gets no conversation any more."""
        splits = self.world.store.traffic_splits()[TASK]
        return 2 not in [one.version for one in (splits.live, splits.canary) if one is not None]

    def harmed(self) -> int:
        """Requests that version 1 would have answered right."""
        return sum(one.rules == "2" and not one.right and one.concept != "thrice" for one in self.world.asked)

    @property
    def decisions(self) -> list[tuple[str, int | None, str]]:
        return [(entry.kind, entry.version, entry.by) for entry in self.world.store.history(TASK)]

    @property
    def state(self) -> dict[str, Any]:
        note: dict[str, Any] = json.loads(self.world.store.note(f"live/{TASK}") or b"{}")
        return note

    async def all_is_well(self) -> None:
        """Version 1 serves, its requests are right, and no cycle brings the bad one back."""
        asked = len(self.world.asked)
        await self.world.learn()
        await self.requests(40)
        after = self.world.asked[asked:]
        assert {one.rules for one in after} <= {"1", "none"} and "1" in {one.rules for one in after}
        assert all(one.right for one in after if one.rules == "1" and one.concept != "thrice")
        assert self.is_over() and not [why for why in self.state["wrong"] if why.startswith("harm")]


@contextlib.asynccontextmanager
async def drill(
    folder: Path, seed: int, *, how: str = "refusal", share: float = 0, rollout: str = ""
) -> AsyncIterator[Drill]:
    task = f"shadow = {{ share = {share} }}\nrollout = {{ {rollout} }}\n"
    text = configured(folder, task=task).replace("[server]", f'[server]\nadmin_key = "{KEY}"')
    async with world(text, models(breaks(how, seed))) as here:
        here.store.publish(rules(CURES["twice"]))
        started = Drill(here, seed)
        await started.activate(1)
        await started.requests(BEFORE_LABELLED if how == "wrong" else BEFORE)
        assert started.decisions == [("live", 1, "admin key")]
        yield started


@pytest.mark.parametrize(
    ("seed", "how", "share", "rollout", "bound"),
    [
        (1, "refusal", 0, "", REFUSALS),
        (2, "refusal", 0, "", REFUSALS),
        (3, "empty", 0, 'policy = "manual"', REFUSALS),
        (4, "refusal", 0, "holdback = 0", REFUSALS),
        (5, "wrong", 0.5, "", HALF_COMPARED),
        (6, "wrong", 0.5, 'holdback = 0, policy = "manual"', HALF_COMPARED),
    ],
)  # fmt: skip
async def test_what_a_person_should_not_have_activated_is_taken_off_the_air(
    tmp_path: Path, seed: int, how: str, share: float, rollout: str, bound: Bound
) -> None:
    """Under every policy; the history says who did it, and why, and it does not come back."""
    async with drill(tmp_path, seed, how=how, share=share, rollout=rollout) as here:
        here.world.store.publish(rules(CURES["twice"], BAD))
        await here.activate(2)
        began = here.world.clock[0]
        await here.requests(900, until=here.is_over)
        assert here.decisions[1:] == [("live", 2, "admin key"), ("live", 1, "watch")]
        assert 0 < here.harmed() <= bound.harmed
        assert (here.world.clock[0] - began) / 60 <= bound.minutes
        why = here.world.store.history(TASK)[-1].why
        assert why.startswith("paired answers" if how == "wrong" else "bad replies")
        assert ("were wrong with it alone" if how == "wrong" else "requests harmed") in why
        await here.all_is_well()


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_trial_that_a_fooled_gate_began_ends_by_itself(tmp_path: Path, seed: int) -> None:
    """With 5% of the conversations, each of which stays where it is, few are harmed."""
    async with drill(tmp_path, seed) as here:
        store, now = here.world.store, here.world.clock[0]
        fooled = Evidence(
            verdict="better", before=Measured(accuracy=0.8, n=60), after=Measured(accuracy=0.95, n=60), fixed=9,
            broken=0, items_used=60, p_value=0.002, interval=(0.06, 0.24), against=1, note="it looked better",
        )  # fmt: skip
        given = {"incumbent": store.active()[TASK], "share": 0.05, "started": now, "now": now, "by": "cycle"}
        publish(store, rules(CURES["twice"], BAD), fooled, **given)  # type: ignore[arg-type]
        here.world.services.rules.swap(store.traffic_splits(), store.revision())
        await here.requests(3600, until=here.is_over)
        assert here.decisions[1] == ("canary", 2, "cycle") and here.decisions[-1] == ("canary", 2, "watch")
        assert store.history(TASK)[-1].share == 0
        assert 0 < here.harmed() <= REFUSALS_ON_TRIAL.harmed
        assert (here.world.clock[0] - now) / 60 <= REFUSALS_ON_TRIAL.minutes
        await here.all_is_well()


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_rule_set_that_changes_nothing_stays(tmp_path: Path, seed: int) -> None:
    """The same drill with a harmless one."""
    async with drill(tmp_path, seed, share=0.5) as here:
        here.world.store.publish(rules(CURES["twice"], "Write every number in digits."))
        await here.activate(2)
        await here.requests(400)
        assert here.decisions == [("live", 1, "admin key"), ("live", 2, "admin key")]
        assert here.state["wrong"] == []


async def test_where_nothing_may_be_rolled_back_the_state_says_what_is_wrong(tmp_path: Path) -> None:
    """``rollback = false``: it stays, and whoever looks is told."""
    async with drill(tmp_path, 1, rollout="rollback = false") as here:
        here.world.store.publish(rules(CURES["twice"], BAD))
        await here.activate(2)
        await here.requests(200)
        assert here.decisions[1:] == [("live", 2, "admin key")]
        assert any(why.startswith("harm: bad replies") for why in here.state["wrong"])
