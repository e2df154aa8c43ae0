"""The past of a comparison: outcomes before an activation, dealt out to the conversations after it. Pure.

A version that goes live for everybody has nobody beside it. For a day it is compared with the replies before it: some
conversations of the past, then one of the present, and so on. Neither arm can gain by that if both fail equally often.
"""

import statistics
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from gateway.domain import Value
from gateway.store.base import Observed
from optimizer.monitoring.rollout.arms import Pairing

PAST = 800
"""Newest conversations of the past in a comparison."""
PRESENT = 400
"""Conversations of the present that use up the past: two of the past for each, or one if the past is short."""


class Dealt(NamedTuple):
    """The part of the past beside one conversation."""

    names: Sequence[str]
    rates: Sequence[float]
    """Shares of bad replies, 0..1."""
    tokens: Sequence[float]


class Past(Value, frozen=True):
    """The unused rest of the past, oldest first."""

    rates: tuple[float, ...] = ()
    """Share of bad replies of each conversation."""
    tokens: tuple[float, ...] = ()
    each: int = 1
    """Conversations of the past beside one of the present."""

    @property
    def share(self) -> float:
        """The present's share of the conversations in the comparison."""
        return 1 / (1 + self.each)

    def dealt(self) -> tuple[Dealt, "Past"]:
        """Return the part of the past for another conversation, and the rest; empty once the past is used up."""
        rates, tokens = self.rates[: self.each], self.tokens[: self.each]
        names = [f"past {len(self.rates) - at}" for at in range(len(rates))]
        rest = Past(rates=self.rates[self.each :], tokens=self.tokens[self.each :], each=self.each)
        return Dealt(names, rates, tokens), rest


def past_of(pairing: Pairing, rows: Sequence[Observed], weak: str) -> tuple[Past, int, int]:
    """Return the past of a pairing, the number of its exchanges, and the number of bad ones."""
    units: dict[str, list[bool]] = defaultdict(list)
    tokens: dict[str, float] = {}
    for exchange in rows:
        bad = pairing.bad(exchange) if pairing.precedes(exchange, weak) else None
        if bad is not None:
            unit = exchange.cluster or exchange.id
            units[unit].append(bad)
            tokens.setdefault(unit, max(float(exchange.usage.output_tokens), 1.0))
    rates = [statistics.fmean(outcomes) for outcomes in units.values()][-PAST:]
    each = min(max(len(rates) // PRESENT, 1), PAST // PRESENT)
    past = Past(rates=tuple(rates), tokens=tuple(tokens.values())[-PAST:], each=each)
    return past, sum(map(len, units.values())), sum(map(sum, units.values()))
