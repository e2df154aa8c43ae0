"""Four weeks of traffic on an injected clock: nobody says what is right, and the weak model becomes good all the same.

The weak model overlooks three concepts, of which the strong one can name two; the second of them comes up half-way.
"""

import json
import random
from collections.abc import Sequence
from pathlib import Path

from tests.world import CURES, Asked, configured, models, traffic, world

WEEK = 7 * 24 * 3600.0
REQUESTS = 2800
EARLY = {"": 0.5, "twice": 0.4, "thrice": 0.1}
LATE = {"": 0.4, "twice": 0.15, "half": 0.35, "thrice": 0.1}
TASK = """
shadow = { share = 0.5 }
rollout = { holdback = 0.05, step_exchanges = 20, step_minutes = 60 }
"""


def share(asked: Sequence[Asked]) -> float:
    """How many were answered right."""
    return sum(one.right for one in asked) / len(asked)


async def test_quality_rises_drift_is_answered_and_the_end_is_proven(tmp_path: Path) -> None:
    """No label from anybody: the strong model answers half of the requests in the background, and that is enough."""
    randomness, upstream = random.Random(5), models()
    async with world(configured(tmp_path, task=TASK), upstream) as here:
        began = here.clock[0]
        for number in range(REQUESTS):
            here.clock[0] = began + 4 * WEEK * number / REQUESTS
            await here.ask(traffic(randomness, EARLY if number < REQUESTS / 2 else LATE))
            if number % 4 == 3:
                await here.tick()
            if number % 50 == 49:
                await here.learn()
        store, live = here.store, here.store.traffic_splits()["arithmetic"].live
        history, drift = store.history("arithmetic"), store.note("drift/arithmetic")
        graded = store.graded("arithmetic", limit=REQUESTS)
        shadows = [one for one in store.observed("arithmetic", since=0, limit=2 * REQUESTS) if one.arm == "shadow"]

    # Two rule sets went the whole way, step by step, each on a verdict of the gate; nothing else ever went live.
    steps = [entry for entry in history if entry.kind in ("canary", "live")]
    assert [(entry.kind, entry.version, entry.share, entry.by) for entry in steps] == [
        (kind, version, size, by)
        for version in (1, 2)
        for kind, size, by in (("canary", 0.05, "cycle"), ("canary", 0.25, "watch"), ("live", 1.0, "watch"))
    ]
    # What is live at the end is exactly what could be found out.
    assert live is not None and {rule.text for rule in live.rules} == {CURES["twice"], CURES["half"]}
    # Drift was noticed after it began and before it was over; new mistakes may begin a cycle sooner.
    assert drift is not None
    assert began + 2 * WEEK < json.loads(drift)["time"] < steps[-1].created

    first, second, third, _ = (
        [one for one in here.asked if began + week * WEEK <= one.at < began + (week + 1) * WEEK] for week in range(4)
    )
    end = [one for one in here.asked if one.at > steps[-1].created]
    assert share(first) < 0.65 and share(second) > 0.85 and share(third) < 0.65
    # The end is proven by counts: with the rules, everything that can be found out is right; what nobody found stays
    # wrong; and those held back show what it would be without.
    taught = [one for one in end if one.arm == "weak"]
    assert len(taught) > 200 and {one.rules for one in taught} == {"2"}
    assert all(one.right == (one.concept != "thrice") for one in taught)
    held = [one for one in end if one.arm == "holdback"]
    assert held and all(one.right == (one.concept == "") for one in held)
    assert share(taught) > 0.85 and share(held) < 0.55

    # Nobody said what is right; the strong model was asked about half of the requests, each once.
    assert {one.feedback.source for one in graded} == {"shadow"}
    assert 0.45 * REQUESTS < len(shadows) < 0.55 * REQUESTS
