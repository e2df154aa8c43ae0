"""The power of a comparison: the harm that would have been seen by now, and the days until a given harm is. Pure."""

import math

import msgspec

from gateway.domain import Value
from optimizer.monitoring.rollout.comparison import Comparison
from optimizer.monitoring.rollout.evidence import Stream

DAY_S = 86_400.0
_LEAST_S = 3600.0
"""Shortest time, in seconds, from which the traffic of a day is estimated."""
_WRONG, _LEAST_WRONG = 0.1, 0.05
"""Share of the incumbent's wrong replies where no verification measured it, and the smallest that is believed."""
_LEAST = 10
"""Outcomes of either arm without which nothing is ruled out."""
_NATS = 3.0
"""Evidence, in nats, that rules out a ratio of complaints."""


class Power(Value, frozen=True):
    """The harm that a comparison would have seen by now. Harms are losses of right replies, as shares."""

    wanted: float
    """The harm that must not go unnoticed."""
    of: str
    """The evidence with the most power, such as ``pairs of answers``."""
    units: int
    enough: bool
    """The wanted harm would have been seen by now."""
    seen: str
    """The smallest harm that would have been seen by now, in words."""
    days: float | None
    """Days more until the wanted harm would be seen, at this traffic; ``None`` if nobody can tell yet."""
    labelled: bool = True
    """Labels are among the evidence; signs of failure alone show a part of the harm."""

    def __str__(self) -> str:
        if self.enough:
            return self.seen
        wanted = f"harm from {_points(self.wanted)} points up"
        if self.days is None:
            return f"{self.seen}; how long {wanted} takes cannot be said yet"
        return f"{self.seen}; {wanted} takes about {_days(self.days)} more at this traffic"


def power_of(comparison: Comparison, wanted: float, passed_s: float) -> Power:
    """Return the power of a comparison after ``passed_s`` seconds.

    Labels that were asked for measure harm. Complaints show how much more frequent they are. Without any label only
    harm with signs of failure can be ruled out.
    """
    c, i = comparison.challenger, comparison.incumbent
    streams = [
        ("pairs of answers", comparison.pairs, comparison.paired.n),
        ("labelled conversations", comparison.labels, min(c.labelled, i.labelled)),
    ]
    known = [_power(of, stream, wanted, passed_s, least) for of, stream, least in streams if stream.n]
    if known:
        return min(known, key=lambda power: (not power.enough, power.days if power.days is not None else math.inf))
    if comparison.complaints.n:
        return _by_complaints(comparison, wanted, passed_s)
    of, least = "conversations, by signs of failure alone", min(c.seen, i.seen)
    signs = _power(of, comparison.bad, wanted, passed_s, least)
    return msgspec.structs.replace(signs, labelled=False)


def _power(of: str, stream: Stream, wanted: float, passed_s: float, least: int) -> Power:
    """Return the power of a stream; ``least`` outcomes came on either arm."""
    seen, ruled_out = f"no harm can be ruled out by {stream.n} {of}", stream.ruled_out if least >= _LEAST else None
    if ruled_out is not None:
        seen = f"harm from {_points(ruled_out)} points up would have been seen by now, in {stream.n} {of}"
    enough = wanted >= 1 or (ruled_out is not None and ruled_out <= wanted)
    days = _at_this_pace(stream.to_rule_out(wanted), stream.n, passed_s)
    return Power(wanted=wanted, of=of, units=stream.n, enough=enough, seen=seen, days=days)


def _by_complaints(comparison: Comparison, wanted: float, passed_s: float) -> Power:
    """Return the power of complaints: a harm is a larger frequency, relative to the incumbent's mistakes."""
    complaints, ratio = comparison.complaints, 1 + wanted / max(comparison.wrong_before or _WRONG, _LEAST_WRONG)
    seen = f"no harm can be ruled out by {complaints.n} complaints"
    if complaints.ruled_out is not None:
        times = f"complaints {complaints.ruled_out:g} times as frequent"
        seen = f"{times} would have been seen by now, in {complaints.n} complaints"
    enough = wanted >= 1 or (complaints.ruled_out is not None and complaints.ruled_out <= ratio)
    needed = 4 * _NATS * (1 + 1 / ratio) / math.log(ratio) ** 2
    days = _at_this_pace(max(needed - complaints.n, 1.0), complaints.n, passed_s)
    return Power(wanted=wanted, of="complaints", units=complaints.n, enough=enough, seen=seen, days=days)


def _at_this_pace(needed: float | None, units: int, passed_s: float) -> float | None:
    per_day = units / max(passed_s, _LEAST_S) * DAY_S
    return needed / per_day if needed is not None and per_day else None


def _points(share: float) -> str:
    return f"{100 * share:g}"


def _days(days: float) -> str:
    hours = round(24 * days)
    if hours < 1:
        return "an hour"
    return f"{hours} hours" if hours < 48 else f"{days:.0f} days"
