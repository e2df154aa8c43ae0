"""Evidence under constant watching: is the challenger worse, slower, dearer, or good enough?

A p-value holds for one planned look; here every sweep is a look. An e-value is the capital after fair bets of 1 against
the null hypothesis: while the hypothesis holds, the chance of *ever* reaching 1/alpha is at most alpha (Ville's
inequality; Grünwald, de Heide & Koolen, arXiv 1906.07801). Several guardrails of one trial share alpha in equal parts:
then alpha is the chance of any false alarm.

Alpha is kept on three conditions:

- The stream is in the order of the *verdicts* and is only ever continued. A late verdict goes to the end.
- The arm of an outcome was chosen without a look at the question: by a coin or a hash.
- A conversation has one outcome: arms are pinned, so all answers of a hard conversation fall on one arm.

Reads no store and no clock, and decides nothing. The delay until harm is noticed is measured in ``tests/bench/live``.
"""

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar

from gateway.domain import Value

BREAKS = (0.02, 0.05, 0.1, 0.2, 0.4)
"""Alternatives of the bets, in equal parts: shares of the right answers become wrong."""

T = TypeVar("T")


class ArmOutcome(NamedTuple, Generic[T]):
    """One outcome, from the challenger or else from the incumbent."""

    challenger: bool
    value: T
    """The wrongness of the answer (``harm``), or its milliseconds or tokens (``excess``)."""


class EProcess(Value, frozen=True):
    """The evidence against a null hypothesis. A comparison of arms ends at the threshold."""

    n: int
    """Outcomes of the challenger, or trials, so far."""
    discordant: int
    """Comparisons with a difference between the arms, or trials."""
    against: int
    """Those of them against the null hypothesis."""
    log_e: float
    """Natural logarithm of the e-value."""
    alpha: float

    @property
    def e_value(self) -> float:
        """Cut off at e^700, so that it stays a number."""
        return math.exp(min(self.log_e, 700.0))

    @property
    def threshold(self) -> float:
        """The e-value of a refutation."""
        return 1 / self.alpha

    @property
    def reached(self) -> bool:
        """True if the null hypothesis is refuted."""
        return self.log_e >= -math.log(self.alpha)


class TimeBlock(NamedTuple, Generic[T]):
    """The outcomes of one stretch of time, at least one of each arm."""

    challenger: list[T]
    incumbent: list[T]


def blocks(stream: Iterable[ArmOutcome[T]]) -> Iterator[TimeBlock[T]]:
    """Cut the stream as soon as there is an outcome of each arm; an unfinished block at the end is left out.

    Only neighbours in time are compared, so harder traffic for both arms is no evidence against either. A challenger
    with 5% of the traffic meets about 19 incumbents in a block, and all of them count.
    """
    block: TimeBlock[T] = TimeBlock([], [])
    for challenger, value in stream:
        (block.challenger if challenger else block.incumbent).append(value)
        if block.challenger and block.incumbent:
            yield block
            block = TimeBlock([], [])


def harm(outcomes: Iterable[ArmOutcome[bool]], *, alpha: float) -> EProcess:
    """Null hypothesis: the challenger is wrong no more often than the incumbent; ``ArmOutcome.value`` is *wrong*.

    The e-variable for two samples of Turner, Ly & Grünwald (arXiv 2106.02693, section 2), block by block. The assumed
    rates come from earlier blocks: the incumbent's rate so far, and for the challenger this rate after a share of
    ``BREAKS`` of the right answers became wrong. Rates may change from block to block, and arms may differ in size. Let
    c and i be the assumed rates and m their mean in the block. An outcome of the challenger with true rate x
    contributes 1 + (x - m)(c - m) / m(1 - m), an outcome of the incumbent likewise with i. The mean of the
    contributions over a block is at most 1 for a challenger no worse, hence their product as well.
    """
    logs = [0.0] * len(BREAKS)
    n = discordant = against = incumbents = wrong = 0
    log_e = 0.0
    for challenger, incumbent in blocks(outcomes):
        rate = (wrong + 0.5) / (incumbents + 1)
        logs = [log + _bet(challenger, incumbent, rate, share) for log, share in zip(logs, BREAKS, strict=True)]
        n, incumbents, wrong = n + len(challenger), incumbents + len(incumbent), wrong + sum(incumbent)
        lead = sum(challenger) * len(incumbent) - sum(incumbent) * len(challenger)
        discordant, against = discordant + (lead != 0), against + (lead > 0)
        log_e = _log_mean(logs)
        if log_e >= -math.log(alpha):
            break
    return EProcess(n=n, discordant=discordant, against=against, log_e=log_e, alpha=alpha)


def excess(amounts: Iterable[ArmOutcome[float]], *, ratio: float, alpha: float) -> EProcess:
    """Null hypothesis: the challenger's milliseconds (or tokens) are no larger than ``ratio`` times the incumbent's.

    A sign test of medians, block by block: of two equal arms, with any distribution, either median is larger in half of
    the blocks; ties speak for the challenger. The test sees the typical answer, not a slow tenth.
    """
    n = discordant = against = 0
    log_e = 0.0
    for challenger, incumbent in blocks(amounts):
        n, discordant = n + len(challenger), discordant + 1
        against += _middle(challenger) > ratio * _middle(incumbent)
        log_e = log_e_value(against, discordant - against, 0.5)
        if log_e >= -math.log(alpha):
            break
    return EProcess(n=n, discordant=discordant, against=against, log_e=log_e, alpha=alpha)


def above(successes: int, failures: int, *, p0: float, alpha: float) -> EProcess:
    """Null hypothesis: a trial succeeds with a chance of at most ``p0`` (0 < p0 < 1).

    With ``p0`` = 1/2 this is the beta-binomial test of discordant pairs: both arms answered one request and one was
    right. With agreement of weak and strong as success, it shows agreement in more than ``p0`` of all cases.
    """
    n = successes + failures
    log_e = log_e_value(successes, failures, p0)
    return EProcess(n=n, discordant=n, against=successes, log_e=log_e, alpha=alpha)


def log_e_value(successes: int, failures: int, p0: float) -> float:
    """Natural logarithm of the e-value against "the chance of success is at most ``p0``", 0 < p0 < 1.

    The likelihood, averaged over all chances above ``p0`` with equal weight, relative to the likelihood at ``p0``
    (Robbins, Annals of Mathematical Statistics 41 (1970) 1397). With K = successes + failures + 1 trials of chance
    ``p0`` it is P(at most so many successes) / (P(exactly so many) * (failures + 1)). The sum is taken on the side of
    the mode with falling terms.
    """
    trials, odds = successes + failures + 1, p0 / (1 - p0)
    if successes <= (trials + 1) * p0:
        downwards = (k / ((trials - k + 1) * odds) for k in range(successes, 0, -1))
        return math.log1p(_falling(downwards)) - math.log(failures + 1)
    upwards = ((trials - k) * odds / (k + 1) for k in range(successes, trials))
    exactly = _log_choose(trials, successes) + successes * math.log(p0) + (trials - successes) * math.log1p(-p0)
    return math.log1p(-math.exp(exactly) * _falling(upwards)) - exactly - math.log(failures + 1)


def lower_bound(successes: int, failures: int, alpha: float) -> float:
    """A chance of success below the true chance at every look, except with probability ``alpha``.

    It is the largest ``p0`` refuted by ``log_e_value``, 0.0 if there is none. Both bounds together: 2 ``alpha``.
    """
    low, high = 0.0, 1.0
    for _ in range(52):
        middle = (low + high) / 2
        refuted = log_e_value(successes, failures, middle) >= -math.log(alpha)
        low, high = (middle, high) if refuted else (low, middle)
    return low


def upper_bound(successes: int, failures: int, alpha: float) -> float:
    """A chance of success above the true chance at every look, except with probability ``alpha``."""
    return 1 - lower_bound(failures, successes, alpha)


def _bet(challenger: Sequence[bool], incumbent: Sequence[bool], rate: float, share: float) -> float:
    """Logarithm of a block's likelihood with two rates of wrong answers, relative to that with their mean."""
    worse = rate + (1 - rate) * share
    mean = (len(challenger) * worse + len(incumbent) * rate) / (len(challenger) + len(incumbent))
    return _log_ratio(challenger, worse, mean) + _log_ratio(incumbent, rate, mean)


def _log_ratio(outcomes: Sequence[bool], rate: float, mean: float) -> float:
    wrong = sum(outcomes)
    return wrong * math.log(rate / mean) + (len(outcomes) - wrong) * math.log((1 - rate) / (1 - mean))


def _middle(amounts: Sequence[float]) -> float:
    """The median of an odd number of amounts, without the oldest if need be: a median of an even number is unfair."""
    return statistics.median(amounts[1 - len(amounts) % 2 :])


def _log_mean(logs: Sequence[float]) -> float:
    """Logarithm of the mean of numbers given as logarithms."""
    highest = max(logs)
    return highest + math.log(sum(math.exp(log - highest) for log in logs) / len(logs))


def _falling(ratios: Iterable[float]) -> float:
    """The sum of the products of the first, the first two, the first three... ratios, none above 1."""
    total, term = 0.0, 1.0
    for ratio in ratios:
        term *= ratio
        total += term
        if term < 1e-17 * total:
            break
    return total


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
