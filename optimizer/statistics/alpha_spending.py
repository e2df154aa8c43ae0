"""How strict a scheduled test must be, so that many tasks looked at every half hour do not fill up with useless rules.

One test at 5% adopts a useless change in one of twenty cases, and a scheduler makes a test as often as it finds a
candidate. So scheduled tests of all tasks share one account (alpha-investing: Foster & Stine, J. R. Stat. Soc. B 70
(2008) 429, with their rule for what to spend): a test that adopts nothing costs, one that adopts earns, and the level
of the next one depends on what is left. Of the rule sets that a scheduler adopts, about one in ten at most is then no
better than what it replaced (mFDR: the expected number of useless ones by that of all and 0.9 more); where nothing can
be gained, the chance that it ever adopts anything is at most 10%. A test that a person asks for (``distill``,
``verify``) is one test, at 5%.

Does not test anything: ``accept.Gate`` holds a test to its level.
"""

from collections.abc import Iterable

from gateway.domain import Value
from optimizer.statistics.paired_test import LEVEL

USELESS = 0.1
"""Share of useless ones among the adopted rule sets that is allowed for, in expectation."""
START = USELESS * (1 - USELESS)
"""What the account holds before the first test; a test that adopts earns ``USELESS``."""


class ScheduledTest(Value, frozen=True):
    """One scheduled test: its level, and whether it adopted."""

    level: float
    adopted: bool


def next_level(tests: Iterable[ScheduledTest]) -> float:
    """The level of the next test after these, in the order in which they were made; never above the gate's own."""
    account, since = START, 1
    for test in tests:
        if test.adopted:
            account, since = account + USELESS, 1
        else:
            account, since = max(0.0, account - test.level / (1 - test.level)), since + 1
    price = account / (1 + since)
    return min(LEVEL, price / (1 + price))
