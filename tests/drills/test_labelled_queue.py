"""Drill: a person works on the label queue, and a harmful rule set that somebody put live is off the air.

A gateway over loopback with scripted models, a thousand requests a day; the rules break 17 points of the replies and
fix 5. Nobody corrects a reply of their own accord; 5% of the requests are labelled, in the queue's order. Before the
queue asked first where two versions answer differently, the rules were still live after two days.
"""

import pytest

from tests.bench.live.told import EFFECTS, HABITS, played

pytestmark = pytest.mark.drill


async def test_a_person_at_the_queue_takes_harm_off_the_air_within_two_days() -> None:
    said = await played(HABITS["a person labels 5% from the queue"], EFFECTS["harms"], True, 700, 0)
    assert said.state == "off the air" and said.days is not None and said.days <= 2
