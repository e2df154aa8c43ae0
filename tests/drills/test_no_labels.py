"""Drill: nobody ever says what is right. A share of the requests is asked of the other model, and that is enough.

Both ways round: callers get the strong model's replies and the weak one answers in the background, or the other way.
"""

from pathlib import Path

import pytest

from tests.world import CURES, configured, models, world

MOST = 800


@pytest.mark.parametrize("share", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("serve", ["shadow", "weak"])
async def test_a_share_of_the_requests_teaches_the_rule(tmp_path: Path, serve: str, share: float) -> None:
    """The requests that were not drawn were not passed over; the drawn ones stand for them."""
    task = f'serve = "{serve}"\nshadow = {{ share = {share} }}\nrollout = {{ policy = "at_once", holdback = 0 }}\n'
    async with world(configured(tmp_path, task=task), models()) as here:
        for number in range(MOST):
            here.clock[0] += 20
            await here.ask("twice" if number % 2 else "")
            if number % 5 == 4:
                await here.tick()
            if number % 50 == 49:
                await here.learn()
                if here.store.rule_sets("arithmetic"):
                    break
        published = here.store.rule_sets("arithmetic")
        sources = {known.feedback.source for known in here.store.graded("arithmetic", limit=MOST)}
    assert [[rule.text for rule in rule_set.rules] for rule_set in published] == [[CURES["twice"]]]
    assert published[0].evidence is not None and "agreement" in published[0].evidence.claim
    assert sources == {"shadow"}
