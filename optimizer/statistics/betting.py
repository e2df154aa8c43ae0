"""Bets on the mean of bounded outcomes: is an arm worse, and is a harm of a given size ruled out? Valid at every look.

A fair game against a hypothesis about a mean: each outcome multiplies a stake by 1 plus or minus a share of it. While
the hypothesis holds, the total is expected to fall or stay, so the chance that it *ever* reaches 1/alpha is at most
alpha (Ville's inequality; Waudby-Smith & Ramdas, JRSS B 86 (2024) 1, "betting"). Outcomes may have any distribution
within their range; the mean may differ from outcome to outcome as long as each one's keeps the hypothesis.

The difference of two arms is such a mean. The arm of a conversation is a coin with a known share, so the score of
``arm_range`` has the difference of the arms as its expectation, whatever the question is (Horvitz & Thompson, JASA 47
(1952) 663). Traffic that becomes harder for both arms is no evidence against either.

A bet against harm begins again and again: its capital is put in by instalments, one for each ``INSTALMENT`` outcomes,
so that harm after a long good time is noticed as well. Instalments are parts of one capital: the guarantee stays whole.
A game that ends soon has no long good time: it may put in nearly all of its capital at first.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from gateway.domain import Value

BETS = (0.06, 0.12, 0.25, 0.5, 0.9)
"""Shares of the largest possible stake, each with as much of the capital."""
INSTALMENT = 250
"""Outcomes between two instalments of the capital."""
_BATCH = 100
"""Outcomes whose factors are multiplied before a logarithm is taken: fast, and far from the limits of a float."""
_NORMAL = 2.1097
"""The sum of 1 / (k ln(k)^2) over k = 2, 3, ...: the instalments add up to the whole capital, however many come."""
_FIRST = 1 / (2 * math.log(2) ** 2 * _NORMAL)
"""The first of these parts, 0.49."""


class Score(NamedTuple):
    """An outcome and its range; the range is fixed before the outcome is known."""

    value: float
    low: float
    high: float


class Capital(Value, frozen=True, omit_defaults=True):
    """The state of a game against the hypothesis that a mean is at most (``above``) or at least ``null``."""

    null: float
    above: bool = True
    """Bet on a mean above ``null``; false: below it."""
    instalments: bool = False
    n: int = 0
    """Outcomes so far."""
    staked: tuple[float, ...] = ()
    """Natural logarithm of the stake of each bet; empty before the first outcome."""
    cash: float = 1.0
    """The part of the capital that is not staked yet."""
    bets: tuple[float, ...] = BETS
    first: float = _FIRST
    """The part of the capital in the first instalment, above 0 and below 1."""

    def after(self, scores: Sequence[Score]) -> "Capital":
        """Return the state after more outcomes."""
        state = self
        while scores:
            if state.n % INSTALMENT == 0 and (state.instalments or state.n == 0):
                state = state._with_instalment()
            batch = min(INSTALMENT - state.n % INSTALMENT, _BATCH)
            staked = _after(state.staked, state.logs(scores[:batch]))
            state = msgspec.structs.replace(state, n=state.n + len(scores[:batch]), staked=staked)
            scores = scores[batch:]
        return state

    def _with_instalment(self) -> "Capital":
        part = _instalment(self.n // INSTALMENT, self.first) if self.instalments else self.cash
        more = (math.log(part / len(self.bets)),) * len(self.bets)
        staked = tuple(map(_add_logs, self.staked, more)) if self.staked else more
        return msgspec.structs.replace(self, cash=self.cash - part, staked=staked)

    def logs(self, scores: Sequence[Score]) -> list[float]:
        """Return the natural logarithm of the factor of each bet for some outcomes, at most ``_BATCH``."""
        null = self.null
        if self.above:
            gains = [(value - null) / (null - low) for value, low, _ in scores]
        else:
            gains = [(null - value) / (high - null) for value, _, high in scores]
        return [math.log(math.prod([1 + bet * gain for gain in gains])) for bet in self.bets]

    def log_e(self, unfinished: Sequence[Score] = ()) -> float:
        """Return the natural logarithm of the e-value, with outcomes that may still change."""
        begun = self if self.staked else self._with_instalment()
        staked = begun.staked
        for at in range(0, len(unfinished), _BATCH):
            staked = _after(staked, self.logs(unfinished[at : at + _BATCH]))
        return _log_sum([*staked, math.log(begun.cash)] if begun.cash > 0 else staked)


def arm_range(share: float, centre: float) -> tuple[float, float]:
    """Return the range of ``arm_score`` for a challenger with ``share`` (0..1) of the conversations."""
    low = -max(centre / share, (1 - centre) / (1 - share))
    high = max((1 - centre) / share, centre / (1 - share))
    return low, high


def arm_score(challenger: bool, wrong: float, share: float, centre: float) -> float:
    """Return the score of a conversation; its expectation is the challenger's rate less the incumbent's.

    ``wrong`` is its share of wrong replies (0..1), ``centre`` any guess of that rate made beforehand: a good guess
    makes the scores vary less.
    """
    return (wrong - centre) / share if challenger else -(wrong - centre) / (1 - share)


def _instalment(number: int, first: float) -> float:
    """Return the part of the capital for an instalment; they fall slowly: 0.49, 0.13, 0.06, ... 1/2,500 for no. 100.

    ``first`` is the first part; all later instalments divide the rest of the capital among them.
    """
    if number == 0:
        return first
    return (1 - first) / (1 - _FIRST) / ((number + 2) * math.log(number + 2) ** 2 * _NORMAL)


def _after(staked: Sequence[float], logs: Sequence[float]) -> tuple[float, ...]:
    return tuple(stake + log for stake, log in zip(staked, logs, strict=True))


def _add_logs(first: float, second: float) -> float:
    high, low = max(first, second), min(first, second)
    return high + math.log1p(math.exp(low - high))


def _log_sum(logs: Sequence[float]) -> float:
    """Return the logarithm of the sum of numbers given as logarithms."""
    highest = max(logs)
    return highest + math.log(sum(math.exp(log - highest) for log in logs))
