"""The trial: what was seen with and without the version, the evidence between fine and harm, and who may decide."""

from gateway.domain import Value
from gateway.store.history import active_decisions
from optimizer.console.timeline import evidence_chart
from optimizer.console.visit import Page, Visit
from optimizer.monitoring.rollout.guardrails import Guardrail
from optimizer.monitoring.rollout.status import STATUS
from optimizer.report.markup import Html

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


def trial_page(visit: Visit) -> Page:
    """Show the comparisons of a task."""
    task, section = visit.task()
    store = visit.store
    history, status = store.history(task), STATUS.read(store, task)
    serving = active_decisions(history)
    comparisons = [
        (_SUBJECTS[known.subject], known, [(rail_row(rail), track(rail)) for rail in known.guardrails])
        for known in (status.comparisons if status is not None else ())
    ]
    larger = next((share for share in section.rollout.steps if serving.canary and share > serving.canary.share), 1.0)
    values = {
        "task": task, "section": section, "trial": serving.canary, "hold": serving.hold, "seen": len(history),
        "live": serving.live.version if serving.live else None, "status": status, "comparisons": comparisons,
        "waits": status.waiting[0] if status is not None and status.waiting else "", "larger": larger,
        "did": visit.query.get("did", ""),
    }  # fmt: skip
    return Page(template="trial.html", values=values)


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
