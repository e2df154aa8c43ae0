"""Complaints: labels that clients give of their own accord, mostly where a reply was wrong. Pure.

Such labels are chosen by outcome, so they measure no rate. They compare two arms all the same, as long as the choice
does not depend on the arm, which a complaint's author cannot know from the question:

- Both versions answer the request of a complaint again; the version alone in error loses a point. Complaints on either
  arm are taken at equal rates, so errors of the label and of the moment cost both arms the same.
- If most complaints in which the versions do not differ are on the challenger's replies, labels depend on the arm, and
  nothing follows from them.
- Of several keys none counts for more than two thirds.

A complaint on a request that cannot be answered again counts as it is, if complaints came on both arms.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence

import msgspec

from gateway.domain import Value
from optimizer.monitoring.rollout.evidence import RISK, Stream, UnitOutcome
from optimizer.statistics.betting import Capital, Score
from optimizer.statistics.e_process import log_e_value

_REFUTED = -math.log(RISK)
_BIASED = math.log(20)
"""Logarithm of the e-value at which labels depend on the arm."""
_KEYS = 50
_FREE = 3
"""Complaints of a key that count before those of other keys."""
_RARE = 0.1
"""Share of the traffic below which a key is no other voice."""


RATIOS = (1.1, 1.25, 1.5, 2.0, 3.0, 5.0)
"""Frequencies of complaints, relative to the incumbent's, whose exclusion is watched."""
_RECENT = 200


class Complaints(Value, frozen=True):
    """The complaints of a comparison."""

    paired: Stream = Stream()
    """Differences of both versions on the requests of complaints."""
    unpaired: Stream = Stream()
    """Complaints on requests that cannot be answered again, among audited replies; from the first of them on."""
    alike: tuple[int, int] = (0, 0)
    """Complaints in which the versions did not differ: on the incumbent's replies, and on the challenger's."""
    on: tuple[int, int] = (0, 0)
    """Complaints on either arm that could not be paired."""
    exclusion: tuple[Capital, ...] = (Capital(null=0.0, above=False),) * len(RATIOS)
    """Against "complaints are ``RATIOS`` times as frequent, or more"."""
    ruled_out: float | None = None
    """The smallest ratio of ``RATIOS`` that was ever ruled out."""
    n: int = 0
    """Conversations with a complaint, on either arm."""
    recent: tuple[str, ...] = ()
    """The newest of them."""
    by_key: Mapping[str, int] = {}
    """Complaints that counted, by key."""
    traffic: Mapping[str, int] = {}
    """Exchanges by key."""

    def takes(self, key: str | None) -> bool:
        """Decide whether another complaint of a key counts."""
        name, seen = key or "", sum(self.traffic.values())
        others = sum(count for other, count in self.traffic.items() if other != name)
        if others < _RARE * seen or not seen:
            return True
        return self.by_key.get(name, 0) < _FREE + 2 * (sum(self.by_key.values()) - self.by_key.get(name, 0))

    def with_heard(self, units: Sequence[str]) -> "Complaints":
        """Return the complaints with conversations that complained: they are heard once."""
        return msgspec.structs.replace(self, recent=(*self.recent, *units)[-_RECENT:])

    def with_complaint(self, unit: str, on_challenger: bool, share: float) -> "Complaints":
        """Return the complaints with another; the first in a conversation counts. ``share`` is the challenger's."""
        if unit in self.recent:
            return self
        nulls = [share * ratio / (share * ratio + 1 - share) for ratio in RATIOS]
        exclusion = tuple(
            capital.after([Score(on_challenger - null, -null, 1 - null)])
            for capital, null in zip(self.exclusion, nulls, strict=True)
        )
        refuted = [ratio for ratio, capital in zip(RATIOS, exclusion, strict=True) if capital.log_e() >= _REFUTED]
        return msgspec.structs.replace(
            self, exclusion=exclusion, n=self.n + 1, recent=(*self.recent, unit)[-_RECENT:],
            ruled_out=min([*refuted, *([self.ruled_out] if self.ruled_out is not None else [])], default=None),
        )  # fmt: skip

    def with_pair(
        self, outcome: UnitOutcome, *, on_challenger: bool, share: float, key: str | None, now: float
    ) -> "Complaints":
        """Return the complaints with a pair of answers to a complaint's request; ``share`` is the challenger's."""
        if not self.takes(key) or not accepted(outcome.unit, on_challenger, share):
            return self
        incumbent, challenger = self.alike
        if outcome.value == 0:
            incumbent, challenger = incumbent + (not on_challenger), challenger + on_challenger
        return msgspec.structs.replace(
            self, paired=self.paired.after([outcome], now), alike=(incumbent, challenger), by_key=self._counted(key)
        )

    def with_unpaired(self, outcome: UnitOutcome, *, key: str | None, now: float) -> "Complaints":
        """Return the complaints with a complaint as it is."""
        if not self.takes(key):
            return self
        incumbent, challenger = self.on
        on = (incumbent + (not outcome.challenger), challenger + bool(outcome.challenger))
        return msgspec.structs.replace(
            self, unpaired=self.unpaired.after([outcome], now), on=on, by_key=self._counted(key)
        )

    def with_traffic(self, keys: Mapping[str, int]) -> "Complaints":
        """Return the complaints after more exchanges, by key."""
        if not keys:
            return self
        traffic = {**self.traffic, **{key: self.traffic.get(key, 0) + more for key, more in keys.items()}}
        busiest = sorted(traffic, key=lambda key: traffic[key], reverse=True)[:_KEYS]
        return msgspec.structs.replace(self, traffic={key: traffic[key] for key in busiest})

    @property
    def biased(self) -> bool:
        """True if labels depend on the arm: complaints that tell the versions not apart fall on one arm."""
        incumbent, challenger = self.alike
        return log_e_value(max(self.alike), min(incumbent, challenger), 0.5) >= _BIASED

    @property
    def one_sided(self) -> bool:
        """True if complaints without a pair came on the challenger's replies alone."""
        return self.on[1] > 0 and self.on[0] < 2

    def _counted(self, key: str | None) -> Mapping[str, int]:
        name = key or ""
        return {**self.by_key, name: self.by_key.get(name, 0) + 1}


def accepted(unit: str, on_challenger: bool, share: float) -> bool:
    """Decide whether a complaint is taken, so that both arms' are taken at equal rates: always the same answer.

    With a quarter of the conversations on the challenger, a third of the complaints on the incumbent is taken.
    """
    chance = (1 - share) / share if on_challenger else share / (1 - share)
    digest = hashlib.blake2b(unit.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64 < chance
