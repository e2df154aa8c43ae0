"""The scripts' calendar, held against Python's in a real Valkey; the scripts themselves are tested by their users."""

import random

from gateway.quotas.periods import Per, period_at
from gateway.quotas.scripts import CALENDAR
from tests.counted_money import ask
from tests.valkey import valkey

DAY_S = 86_400


async def test_the_calendar_is_that_of_python() -> None:
    """At the edges of days around leap days and new years, and at random, until 2200."""
    dice = random.Random(3)
    edges = [day * DAY_S for day in range(0, 84_000, 61)]
    leap_days = [951_782_400 + day * DAY_S for day in range(-2, 3)] + [4_107_456_000 + day * DAY_S for day in range(62)]
    times = [
        *edges,
        *(time - 1 for time in edges[1:]),
        *leap_days,
        *(dice.randrange(84_000 * DAY_S) for _ in range(500)),
    ]
    script = (
        f"{CALENDAR} local made = {{}}\nfor i = 2, #ARGV do made[i - 1] = period_at(ARGV[i], ARGV[1]) end return made"
    )
    pers: tuple[Per, ...] = ("day", "month")
    async with valkey() as (url, _):
        for per in pers:
            assert await ask(url, "EVAL", script, 0, per, *times) == [period_at(time, per) for time in times]
