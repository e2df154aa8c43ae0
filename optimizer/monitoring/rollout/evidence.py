"""A stream of outcomes by conversation: the evidence for harm, the harms ruled out, and the measured change.

The unit is the conversation: its arm is drawn once, so its turns say one thing between them, however many there are. A
conversation counts with the mean of its outcomes. It stays open for further turns for ``QUIET_S`` seconds; its bet is
fixed at its first outcome, so a late turn changes the outcome of the bet and not its size. A stream is never wiped.
"""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from gateway.domain import Value
from optimizer.statistics.betting import Capital, Score, arm_range
from optimizer.statistics.normal_mixture import half_width

QUIET_S = 1800.0
"""Seconds without an outcome after which a conversation is complete. Later turns count as another conversation."""
OPEN = 200
"""Conversations that are open at once; of more, the quietest are complete."""
HARMS = (0.01, 0.02, 0.03, 0.05, 0.1, 0.15, 0.2, 0.3)
"""Losses of right replies, as shares, whose exclusion is watched."""
RISK = 0.05
"""Probability, over all looks, of ruling out a harm that is there."""
_REFUTED = -math.log(RISK)
_DETOUR = 2.0
"""Nats on top of the threshold: the price of a mixture of bets, and the luck of half of the streams."""


class UnitOutcome(NamedTuple):
    """An outcome of one arm, or a difference between both."""

    unit: str
    """The conversation."""
    value: float
    """0 for right, 1 for wrong; of a difference, challenger less incumbent, -1..1."""
    at: float
    """Time, in seconds since the epoch."""
    challenger: bool | None = None
    """The arm; ``None`` for a difference."""
    share: float = 0.5
    """The challenger's share of the conversations, above 0 and below 1."""
    again: bool = False
    """A correction: the reply counted as right before."""


class OpenUnit(Value, frozen=True, array_like=True):
    """A conversation whose outcome may still change."""

    weight: float
    """The score is ``weight`` times the mean outcome above ``centre``."""
    centre: float
    low: float
    high: float
    """The range of the score."""
    last: float
    """Time of the last outcome."""
    n: int = 0
    total: float = 0.0

    @property
    def mean(self) -> float:
        return self.total / self.n if self.n else 0.0

    @property
    def score(self) -> Score:
        return Score(self.weight * (self.mean - self.centre), self.low, self.high)

    def with_outcome(self, outcome: UnitOutcome) -> "OpenUnit":
        """Return the conversation with an outcome more."""
        n = self.n if outcome.again and self.n else self.n + 1
        return OpenUnit(
            weight=self.weight, centre=self.centre, low=self.low, high=self.high,
            last=max(outcome.at, self.last), n=n, total=min(self.total + outcome.value, n),
        )  # fmt: skip


class Stream(Value, frozen=True):
    """Differences of two arms, conversation by conversation: challenger less incumbent, positive where it is worse."""

    harm: Capital = Capital(null=0.0, instalments=True)
    """Against "the challenger is no worse"."""
    exclusion: tuple[Capital, ...] = tuple(Capital(null=harm, above=False) for harm in HARMS)
    """Against "the challenger is worse by ``HARMS`` or more"."""
    worst: float = 0.0
    """The largest logarithm of the e-value against "no worse", of all looks."""
    ruled_out: float | None = None
    """The smallest harm of ``HARMS`` that was ever ruled out: it stays so, and larger ones are watched no more."""
    complete: int = 0
    """Complete conversations."""
    sums: tuple[float, float] = (0.0, 0.0)
    """Of their scores, and of the squares."""
    wrong: tuple[float, float] = (0.5, 1.0)
    """Outcomes and conversations of both arms: their ratio is the guess at which bets are centred."""
    open: Mapping[str, OpenUnit] = {}

    def after(self, outcomes: Iterable[UnitOutcome], now: float) -> "Stream":
        """Return the stream after the new outcomes of a look at ``now``, in seconds since the epoch."""
        units, (wrong, count) = dict(self.open), self.wrong
        outcomes = tuple(outcomes)
        if not outcomes and not units:
            return self
        for outcome in outcomes:
            name = f"{outcome.unit} {'-' if outcome.challenger is None else 'ic'[outcome.challenger]}"
            known = units.get(name)
            unit = _opened(outcome, wrong / count) if known is None else known
            units[name] = after = unit.with_outcome(outcome)
            wrong, count = wrong + after.mean - unit.mean, count + (known is None)
        quiet = [name for name, unit in units.items() if not 0 <= now - unit.last < QUIET_S]
        if len(units) - len(quiet) > OPEN:
            quiet = sorted(units, key=lambda name: units[name].last)[: len(units) - OPEN]
        if not outcomes and not quiet:
            return self
        return self._completed([units.pop(name) for name in quiet], units, (wrong, count))

    def _completed(self, units: list[OpenUnit], left: Mapping[str, OpenUnit], wrong: tuple[float, float]) -> "Stream":
        """Return the stream with complete conversations, and note its evidence."""
        complete, scores = [unit.score for unit in units], [unit.score for unit in left.values()]
        harm = self.harm.after(complete)
        watched = [size for size in HARMS if self.ruled_out is None or size < self.ruled_out]
        exclusion = (
            *(capital.after(complete) for capital in self.exclusion[: len(watched)]),
            *self.exclusion[len(watched) :],
        )
        total = self.sums[0] + sum(score.value for score in complete)
        squares = self.sums[1] + sum(score.value**2 for score in complete)
        refuted = [size for size, capital in zip(watched, exclusion, strict=False) if capital.log_e(scores) >= _REFUTED]
        ruled_out = min([*refuted, *([self.ruled_out] if self.ruled_out is not None else [])], default=None)
        return Stream(
            harm=harm, exclusion=exclusion, worst=max(self.worst, harm.log_e(scores)), ruled_out=ruled_out,
            complete=self.complete + len(units), sums=(total, squares), wrong=wrong, open=left,
        )  # fmt: skip

    @property
    def n(self) -> int:
        """Conversations, complete and open."""
        return self.complete + len(self.open)

    @property
    def now(self) -> float:
        """The present e-value against "no worse"."""
        return math.exp(min(self.harm.log_e([unit.score for unit in self.open.values()]), 700.0))

    @property
    def e_value(self) -> float:
        """The largest e-value against "no worse", of all looks; cut off at e^700."""
        return math.exp(min(self.worst, 700.0))

    def change(self) -> tuple[float, tuple[float, float]] | None:
        """Return the mean difference and its 95% interval; ``None`` with fewer than ten conversations.

        The interval is for one look. Once the stream has shown harm it is for every look: an alarm ends a comparison
        sooner where chance makes the harm look larger. Two more conversations, one at either extreme, keep it from
        being empty.
        """
        n, total, squares = self._moments()
        if n < 10:
            return None
        middle = total / (n + 2)
        deviation = math.sqrt(max((squares + 2.0) / (n + 2) - middle**2, 0.0))
        spread = deviation * (half_width(n + 2) if self.worst >= _REFUTED else 1.96 / math.sqrt(n + 2))
        return total / n, (max(middle - spread, -1.0), min(middle + spread, 1.0))

    def to_rule_out(self, harm: float) -> float | None:
        """Estimate how many conversations more it takes to rule out a harm, by the conversations so far.

        0.0 once it is ruled out; ``None`` with fewer than ten, or where they look like that harm.
        """
        if self.ruled_out is not None and self.ruled_out <= harm:
            return 0.0
        n, total, squares = self._moments()
        room = harm - max(total / n, 0.0) if n >= 10 else 0.0
        if room <= 0:
            return None
        needed = 2 * (squares + 1.0) / (n + 1) * (_DETOUR + _REFUTED) / room**2
        return max(needed - n, 1.0)

    def _moments(self) -> tuple[int, float, float]:
        """Number, sum and sum of squares of the scores, open conversations included."""
        values = [unit.score.value for unit in self.open.values()]
        return self.n, self.sums[0] + sum(values), self.sums[1] + sum(value**2 for value in values)


_AT_ONCE = 0.9
"""Part of a trial's capital that is staked at its beginning: harm that begins later is the hold-back's to find."""
_LARGE = (0.25, 0.5, 0.9)
"""Bets on the losses that a trial waits to rule out. Smaller bets are for losses of 2 points and less."""
TRIAL = Stream(harm=Capital(null=0.0, instalments=True, first=_AT_ONCE))
"""The beginning of a trial's stream of outcomes on either arm."""
TRIAL_PAIRS = Stream(harm=Capital(null=0.0, instalments=True, first=_AT_ONCE, bets=_LARGE))
"""The beginning of a trial's stream of differences."""


def _opened(outcome: UnitOutcome, centre: float) -> OpenUnit:
    if outcome.challenger is None:
        return OpenUnit(weight=1.0, centre=0.0, low=-1.0, high=1.0, last=outcome.at)
    low, high = arm_range(outcome.share, centre)
    weight = 1 / outcome.share if outcome.challenger else -1 / (1 - outcome.share)
    return OpenUnit(weight=weight, centre=centre, low=low, high=high, last=outcome.at)
