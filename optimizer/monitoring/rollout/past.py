"""The past of a comparison: outcomes before an activation, dealt out to the conversations after it. Pure.

A version that goes live for everybody has nobody beside it. For a day it is compared with the replies before it: some
conversations of the past, then one of the present, and so on. Neither arm can gain by that if both fail equally often.

A conversation with complaints counts once, however many they are. Complaints come late, on either side: those about the
past may come after the activation, and those about the present count only if their conversation was compared.
"""

import statistics
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

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
    """1 for a conversation with a complaint, else 0; empty where there were hardly any complaints."""
    tokens: Sequence[float]


class Past(Value, frozen=True):
    """The unused rest of the past, oldest first."""

    rates: tuple[float, ...] = ()
    """Share of bad replies of each conversation."""
    complaints: tuple[float, ...] = ()
    tokens: tuple[float, ...] = ()
    each: int = 1
    """Conversations of the past beside one of the present."""
    since: float | None = None
    """Time of the first exchange of this past, in seconds since the epoch; ``None`` without a past."""
    until: float | None = None
    """Time of the conversation of the present that used up the past; later ones are compared with nothing."""

    @property
    def share(self) -> float:
        """The present's share of the conversations in the comparison."""
        return 1 / (1 + self.each)

    def dealt(self, at: float) -> tuple[Dealt, "Past"]:
        """Return the part of the past for a conversation that began then, and the rest; empty once it is used up."""
        each, names = self.each, [f"past {len(self.rates) - at}" for at in range(min(self.each, len(self.rates)))]
        rest = msgspec.structs.replace(
            self, rates=self.rates[each:], complaints=self.complaints[each:], tokens=self.tokens[each:],
            until=at if self.rates and len(self.rates) <= each else self.until,
        )  # fmt: skip
        return Dealt(names, self.rates[:each], self.complaints[:each], self.tokens[:each]), rest


def is_complaint(exchange: Observed) -> bool:
    """Decide whether a client, of its own accord, found an audited reply wrong."""
    return exchange.source == "client" and exchange.correct is False and exchange.audit_rate > 0


class PastSeen(NamedTuple):
    """The past of a pairing, with its counts."""

    past: Past
    exchanges: int
    bad: int
    complained: Sequence[str]
    """Conversations with a complaint."""


def past_of(pairing: Pairing, rows: Sequence[Observed], weak: str) -> PastSeen:
    """Return the past of a pairing."""
    units: dict[str, list[bool]] = defaultdict(list)
    complaints: dict[str, list[bool]] = defaultdict(list)
    tokens, begins = dict[str, float](), dict[str, float]()
    for exchange in rows:
        bad = pairing.bad(exchange) if pairing.precedes(exchange, weak) else None
        if bad is not None:
            unit = exchange.cluster or exchange.id
            units[unit].append(bad)
            complaints[unit].append(is_complaint(exchange))
            begins.setdefault(unit, exchange.created)
            tokens.setdefault(unit, max(float(exchange.usage.output_tokens), 1.0))
    names = list(units)[-PAST:]
    rates = [statistics.fmean(units[name]) for name in names]
    each = min(max(len(rates) // PRESENT, 1), PAST // PRESENT)
    complained = [name for name in names if any(complaints[name])]
    past = Past(
        rates=tuple(rates), tokens=tuple(tokens[name] for name in names), each=each,
        complaints=tuple(float(any(complaints[name])) for name in names) if len(complained) >= _SPOKEN else (),
        since=min((begins[name] for name in names), default=None),
    )  # fmt: skip
    return PastSeen(past, sum(map(len, units.values())), sum(map(sum, units.values())), complained)
