"""The trial: counts with and without the version, the evidence now and over time, and the decisions."""

import math
from collections.abc import Mapping, Sequence

from gateway.domain import Value
from gateway.store.history import active_decisions
from optimizer.console.timeline import evidence_chart, path_chart
from optimizer.console.visit import Page, Visit
from optimizer.monitoring.rollout.evidence_path import PATHS, EvidencePath, EvidencePoint, PathBook
from optimizer.monitoring.rollout.guardrails import Guardrail
from optimizer.monitoring.rollout.status import STATUS, Compared
from optimizer.report.markup import Html

_LOOKS = 24
_SUBJECTS = {
    "trial": "The version on trial against the live one",
    "holdback": "The live rules against no rules",
    "past": "The live rules against the time before",
    "strong": "The weak model against the strong one",
}


class RailRow(Value, frozen=True):
    """A guardrail in words; its track is drawn beside."""

    name: str
    words: str
    verdict: str
    tone: str


class ShownPath(Value, frozen=True):
    """A path of evidence to look at."""

    title: str
    path: EvidencePath
    charts: Mapping[str, Html]
    """By guardrail, those that were seen at two looks at least."""
    names: tuple[str, ...]
    table: tuple[EvidencePoint, ...]
    """Looks for the table, newest first."""


def trial_page(visit: Visit) -> Page:
    """Show the comparisons of a task."""
    task, section = visit.task()
    store = visit.store
    history, status = store.history(task), STATUS.read(store, task)
    serving = active_decisions(history)
    paths = (PATHS.read(store, task) or PathBook()).paths
    compared = status.comparisons if status is not None else ()
    comparisons = [
        (
            _SUBJECTS[known.subject], known, [(rail_row(rail), track(rail)) for rail in known.guardrails],
            next((shown_path(path) for path in paths if path.is_of(known)), None),
        )
        for known in compared
    ]  # fmt: skip
    ended = [path for path in reversed(paths) if path.subject == "trial" and not _goes_on(path, compared)]
    larger = next((share for share in section.rollout.steps if serving.canary and share > serving.canary.share), 1.0)
    values = {
        "task": task, "section": section, "trial": serving.canary, "hold": serving.hold, "seen": len(history),
        "live": serving.live.version if serving.live else None, "status": status, "comparisons": comparisons,
        "waits": status.waiting[0] if status is not None and status.waiting else "", "larger": larger,
        "did": visit.query.get("did", ""), "ended": [shown_path(path) for path in ended],
    }  # fmt: skip
    return Page(template="trial.html", values=values)


def _goes_on(path: EvidencePath, compared: Sequence[Compared]) -> bool:
    return any(path.is_of(known) for known in compared)


def shown_path(path: EvidencePath) -> ShownPath:
    """Return a path with a chart for each guardrail, and a table with at most ``_LOOKS`` of its looks."""
    names = tuple(dict.fromkeys(name for point in path.points for name in point.e_values))
    charts = {}
    for name in names:
        values = [(point.at, point.e_values[name]) for point in path.points if name in point.e_values]
        if len(values) > 1 and name in path.limits:
            charts[name] = path_chart(name, values, path.limits[name])
    step = max(1, math.ceil(len(path.points) / _LOOKS))
    title = f"Version {path.version}" if path.version is not None else _SUBJECTS[path.subject]
    return ShownPath(title=title, path=path, charts=charts, names=names, table=path.points[::-step])


def rail_row(rail: Guardrail) -> RailRow:
    """Return a guardrail in words."""
    if rail.refused:
        return RailRow(name=rail.name, words=rail.why, verdict=f"decides nothing: {rail.refused}", tone="")
    if rail.reached:
        return RailRow(name=rail.name, words=rail.why, verdict="harm", tone="bad")
    if rail.doubtful:
        return RailRow(name=rail.name, words=rail.why, verdict="leans towards harm: no share grows", tone="warn")
    return RailRow(name=rail.name, words=rail.why, verdict="no sign of harm", tone="good")


def track(rail: Guardrail) -> Html:
    """Draw the evidence of a guardrail."""
    return evidence_chart(rail.name, rail.e_value, rail.limit)
