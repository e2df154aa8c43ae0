"""Alpha spending: the level of each scheduled test, lest many tasks tested all day fill up with useless rules.

One test at 5% adopts a useless change in one of twenty cases, and a scheduler tests every candidate. So each task has
an account (alpha-investing: Foster & Stine, J. R. Stat. Soc. B 70 (2008) 429, with their spending rule): a test without
an adoption costs, an adoption earns, and the level of the next test depends on the balance. Accounts open with a third
of a shared reserve, so a hopeless task starves nobody else, and a removed or renamed task gives nothing back: its new
name opens with a third of the rest. Half of each earning goes to the reserve. Of the adopted rule sets, about one in
ten at most is then no better than its predecessor (mFDR: the expected number of useless adoptions over that of all plus
0.9); without anything to gain, the chance of any adoption ever is at most 10%, over all tasks together.

A test takes its level in stages: a promising candidate without a verdict is carried on with new items, at the part of
the level still left. Only the stages that ran are paid. A test by a person (``distill``, ``verify``) has 5%; the next
test on the same items has half of it, and so on: at most 10% in all.

Does not test anything: ``paired_test.Gate`` holds a test to its level.
"""

from collections.abc import Iterable

from gateway.domain import Value
from optimizer.statistics.paired_test import LEVEL

USELESS = 0.1
"""The allowed share of useless rule sets among all adopted, in expectation."""
START = USELESS * (1 - USELESS)
"""The reserve before the first test of any task; an adoption earns ``USELESS``."""
OPENING = 1 / 3
"""Share of the reserve with which a task's account opens."""
STAGES = (0.5, 0.25, 0.125, 0.0625, 0.0625)
"""Shares of a test's level at its first items, and each time that it is carried on with as many new items."""
PROMISING = 1.4
"""The z without which a candidate is not carried on. From 1.4 on, half as many null changes block the way of a real
gain as from 0.5 on (``tests/bench/distillation/power``)."""


class ScheduledTest(Value, frozen=True):
    """One stage of a scheduled test: its task, its level, and its adoption."""

    level: float
    adopted: bool
    task: str = ""
    begins: bool = True
    """False for a candidate carried on."""


def next_level(task: str, tests: Iterable[ScheduledTest]) -> float:
    """Return the level of a task's next test after these of all tasks, in their order; never above the gate's own.

    Tests of tasks that are gone count: what they spent is spent.
    """
    reserve, accounts, since = START, dict[str, float](), dict[str, int]()

    def open_account(name: str) -> None:
        nonlocal reserve
        if name not in accounts:
            accounts[name], since[name] = OPENING * reserve, 0
            reserve -= accounts[name]

    for test in tests:
        open_account(test.task)
        since[test.task] += test.begins
        if test.adopted:
            accounts[test.task] += USELESS / 2
            reserve += USELESS / 2
            since[test.task] = 0
        else:
            accounts[test.task] = max(0.0, accounts[test.task] - test.level / (1 - test.level))
    open_account(task)
    price = accounts[task] / (2 + since[task])
    return min(LEVEL, price / (1 + price))


def stage_level(level: float, stage: int) -> float:
    """Return the part of a test's level at stage 0, 1, 2, ...; 0.0 after the last."""
    return level * STAGES[stage] if stage < len(STAGES) else 0.0


def repeated_level(earlier: int) -> float:
    """Return the level of a person's test after so many earlier ones on the same items."""
    return LEVEL / 2.0**earlier
