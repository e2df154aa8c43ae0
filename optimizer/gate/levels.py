"""How strict a scheduled test must be, so that many tasks looked at every half hour do not fill up with useless rules.

One test at 5% adopts a useless change in one of twenty cases, and a scheduler makes a test as often as it finds a
candidate. So scheduled tests of all tasks share one account (alpha-investing: Foster & Stine, J. R. Stat. Soc. B 70
(2008) 429, with their rule for what to spend): a test that adopts nothing costs, one that adopts earns, and the level
of the next one depends on what is left. Of the rule sets that a scheduler adopts, about one in ten at most is then no
better than what it replaced (mFDR: the expected number of useless ones by that of all and 0.9 more); where nothing can
be gained, the chance that it ever adopts anything is at most 10%. A test that a person asks for (``distill``,
``verify``) is one test, at 5%.

Does not test anything: ``StrictGate`` holds the gate in ``accept`` to a level.
"""

from collections.abc import Iterable
from statistics import NormalDist

import msgspec

from gateway.domain import Value
from optimizer.gate.accept import BOUNDARIES, LEVEL, Finding, Gate, Pairs

USELESS = 0.1
"""Share of useless ones among the adopted rule sets that is allowed for, in expectation."""
START = USELESS * (1 - USELESS)
"""What the account holds before the first test; a test that adopts earns ``USELESS``."""
_NORMAL = NormalDist()
_TINY = 1e-12  # below every p-value that could be seen, above what has no z


class Spent(Value, frozen=True):
    """One scheduled test: its level, and whether it adopted."""

    level: float
    adopted: bool


def next_level(tests: Iterable[Spent]) -> float:
    """The level of the next test after these, in the order in which they were made; never above the gate's own."""
    account, since = START, 1
    for test in tests:
        if test.adopted:
            account, since = account + USELESS, 1
        else:
            account, since = max(0.0, account - test.level / (1 - test.level)), since + 1
    price = account / (1 + since)
    return min(LEVEL, price / (1 + price))


class StrictGate(Gate, frozen=True):
    """The gate at a level below its 5%: a gain needs a higher z at each look and a lower exact p-value."""

    level: float = LEVEL

    def judge(self, look: int, pairs: Pairs) -> Finding | None:
        """As ``Gate.judge``; a gain that only the laxer gate would adopt goes on to the next look."""
        finding = super().judge(look, pairs)
        if finding is None or finding.verdict != "better":
            return finding
        needed = BOUNDARIES[look - 1] * _NORMAL.inv_cdf(max(self.level, _TINY)) / _NORMAL.inv_cdf(LEVEL)
        if pairs.z >= needed and finding.p_value <= self.level:
            return finding
        if look < len(BOUNDARIES):
            return None
        note = (
            f"look {look} of {look}, {pairs.n} items: z = {pairs.z:.2f}, p = {finding.p_value:.2g}: one test could call"
            f" this a gain, but of all scheduled ones this was allowed {self.level:.2g} (z of {needed:.2f})"
        )
        safe = finding.interval[0] > -self.margin
        return msgspec.structs.replace(finding, verdict="non-inferior" if safe else "cannot tell", note=note)
