"""The path of a trial's evidence: what each guardrail said at the looks so far, for people. Pure; decides nothing.

A path has at most ``MOST`` points: when it is full, every other one goes, and points come half as often from then on.
"""

from collections.abc import Mapping, Sequence

import msgspec

from gateway.domain import Value
from gateway.store.notes import Note
from optimizer.monitoring.rollout.arms import Subject
from optimizer.monitoring.rollout.status import Compared

MOST = 120
"""Points of a path."""
_PATHS = 6
_DIGITS = 4


class EvidencePoint(Value, frozen=True):
    """A look."""

    at: float
    """Seconds since the epoch."""
    seen: int
    """Replies of both sides so far."""
    e_values: Mapping[str, float]
    """By guardrail."""


class EvidencePath(Value, frozen=True):
    """A comparison over time."""

    subject: Subject
    version: int | None
    since: float
    limits: Mapping[str, float]
    """By guardrail: the e-value that ends the challenger."""
    points: tuple[EvidencePoint, ...] = ()
    """Oldest first."""
    every_s: float = 0.0
    """Seconds between two points at least."""

    def is_of(self, compared: Compared) -> bool:
        """Decide whether a comparison goes on here."""
        return (self.subject, self.version, self.since) == (compared.subject, compared.version, compared.since)

    def after(self, compared: Compared, now: float) -> "EvidencePath":
        """Return the path with a look; the same path where nothing new was seen."""
        values: dict[str, float] = {rail.name: float(f"{rail.e_value:.{_DIGITS}g}") for rail in compared.guardrails}
        point = EvidencePoint(at=now, seen=compared.challenger.seen + compared.incumbent.seen, e_values=values)
        last = self.points[-1] if self.points else None
        if last is not None and (last.e_values, last.seen) == (point.e_values, point.seen):
            return self
        # The last point stands for now: it is replaced until its time is full.
        before = self.points[:-1] if len(self.points) > 1 and now - self.points[-2].at < self.every_s else self.points
        points, every_s = (*before, point), self.every_s
        if len(points) > MOST:
            points = (*points[:-1:2], point)
            every_s = 2 * (point.at - points[0].at) / MOST
        limits = {rail.name: rail.limit for rail in compared.guardrails}
        return msgspec.structs.replace(self, points=points, every_s=every_s, limits=limits)


class PathBook(Value, frozen=True):
    """The paths of a task, the newest comparison last."""

    paths: tuple[EvidencePath, ...] = ()

    def after(self, comparisons: Sequence[Compared], now: float) -> "PathBook":
        """Return the book after a look; the same book where nothing new was seen."""
        paths = list(self.paths)
        for compared in comparisons:
            if not compared.challenger.seen:
                continue
            place = next((place for place, path in enumerate(paths) if path.is_of(compared)), None)
            if place is None:
                place = len(paths)
                paths.append(
                    EvidencePath(subject=compared.subject, version=compared.version, since=compared.since, limits={})
                )
            paths[place] = paths[place].after(compared, now)
        kept = tuple(paths[-_PATHS:])
        return self if kept == self.paths else PathBook(paths=kept)


PATHS = Note("path", PathBook)
