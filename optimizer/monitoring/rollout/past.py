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
_SPOKEN = 3
"""Complaints without which it is not known whether anybody complained in the past."""
PRESENT = 400
"""Conversations of the present that use up the past: two of the past for each, or one if the past is short."""


class Dealt(NamedTuple):
    """The part of the past beside one conversation."""

    names: Sequence[str]
    rates: Sequence[float]
    """Shares of bad replies, 0..1."""
    complaints: Sequence[float]
    """Shares of replies with a complaint; empty where there were hardly any complaints."""
    tokens: Sequence[float]


class Past(Value, frozen=True):
    """The unused rest of the past, oldest first."""

    rates: tuple[float, ...] = ()
    """Share of bad replies of each conversation."""
    complaints: tuple[float, ...] = ()
    tokens: tuple[float, ...] = ()
    each: int = 1
    """Conversations of the past beside one of the present."""

    @property
    def share(self) -> float:
        """The present's share of the conversations in the comparison."""
        return 1 / (1 + self.each)

    def dealt(self) -> tuple[Dealt, "Past"]:
        """Return the part of the past for another conversation, and the rest; empty once the past is used up."""
        each, names = self.each, [f"past {len(self.rates) - at}" for at in range(min(self.each, len(self.rates)))]
        rest = Past(rates=self.rates[each:], complaints=self.complaints[each:], tokens=self.tokens[each:], each=each)
        return Dealt(names, self.rates[:each], self.complaints[:each], self.tokens[:each]), rest


def is_complaint(exchange: Observed) -> bool:
    """Decide whether a client, of its own accord, found an audited reply wrong."""
    return exchange.source == "client" and exchange.correct is False and exchange.audit_rate > 0


def past_of(pairing: Pairing, rows: Sequence[Observed], weak: str) -> tuple[Past, int, int]:
    """Return the past of a pairing, the number of its exchanges, and the number of bad ones."""
    units: dict[str, list[bool]] = defaultdict(list)
    complaints: dict[str, list[bool]] = defaultdict(list)
    tokens: dict[str, float] = {}
    for exchange in rows:
        bad = pairing.bad(exchange) if pairing.precedes(exchange, weak) else None
        if bad is not None:
            unit = exchange.cluster or exchange.id
            units[unit].append(bad)
            complaints[unit].append(is_complaint(exchange))
            tokens.setdefault(unit, max(float(exchange.usage.output_tokens), 1.0))
    rates = [statistics.fmean(outcomes) for outcomes in units.values()][-PAST:]
    each = min(max(len(rates) // PRESENT, 1), PAST // PRESENT)
    complained = [statistics.fmean(outcomes) for outcomes in complaints.values()][-PAST:]
    spoken = sum(map(bool, complained)) >= _SPOKEN
    past = Past(
        rates=tuple(rates), complaints=tuple(complained) if spoken else (), tokens=tuple(tokens.values())[-PAST:],
        each=each,
    )  # fmt: skip
    return past, sum(map(len, units.values())), sum(map(sum, units.values()))
