"""Alpha spending: the level of each scheduled test, lest many tasks tested all day fill up with useless rules.

One test at 5% adopts a useless change in one of twenty cases, and a scheduler tests every candidate. So scheduled tests
of all tasks share one account (alpha-investing: Foster & Stine, J. R. Stat. Soc. B 70 (2008) 429, with their spending
rule): a test without an adoption costs, an adoption earns, and the level of the next test depends on the balance. Of
the adopted rule sets, about one in ten at most is then no better than its predecessor (mFDR: the expected number of
useless adoptions over that of all plus 0.9); without anything to gain, the chance of any adoption ever is at most 10%.
A test by a person (``distill``, ``verify``) is a single test at 5%.

Does not test anything: ``paired_test.Gate`` holds a test to its level.
"""

from collections.abc import Iterable

from gateway.domain import Value
from optimizer.statistics.paired_test import LEVEL

USELESS = 0.1
"""The allowed share of useless rule sets among all adopted, in expectation."""
START = USELESS * (1 - USELESS)
"""The balance before the first test; an adoption earns ``USELESS``."""


class ScheduledTest(Value, frozen=True):
    """One scheduled test: its level, and its adoption."""

    level: float
    adopted: bool


def next_level(tests: Iterable[ScheduledTest]) -> float:
    """Return the level of the next test after these, in their order; never above the gate's own."""
    account, since = START, 1
    for test in tests:
        if test.adopted:
            account, since = account + USELESS, 1
        else:
            account, since = max(0.0, account - test.level / (1 - test.level)), since + 1
    price = account / (1 + since)
    return min(LEVEL, price / (1 + price))
