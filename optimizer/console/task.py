"""A task's page: its quality over time, the worth of its rules, and its decisions, past and possible."""

import datetime as dt
from collections.abc import Sequence

import msgspec

from gateway.domain import CycleRecord, RuleSet, Value
from gateway.rules.decisions import describe
from gateway.settings import Settings
from gateway.store.base import TaskCounts
from gateway.store.history import active_decisions, taken_off
from optimizer.console.timeline import VersionFlag, points_of, quality_chart
from optimizer.console.today import TaskRow, task_row
from optimizer.console.visit import CONSOLE, Page, Visit
from optimizer.distillation.outcome import Outcome
from optimizer.monitoring.daybook import DAY_S, DAYS, DayBook
from optimizer.monitoring.rollout.promises import PROMISES
from optimizer.monitoring.rollout.promises import describe as describe_promise
from optimizer.monitoring.rollout.status import STATUS
from optimizer.report.summary import headline, statistics
from optimizer.scheduling.scheduler import cron_trigger, schedules

_CYCLES = 6
_DECISIONS = 8


class CycleLine(Value, frozen=True):
    """A run of the learner in a line."""

    id: int
    started: float
    words: str
    details: tuple[str, ...] = ()
    changed: bool = False
    """It has fixed or broken examples to look at."""
    calls: int = 0


class WaitingVersion(Value, frozen=True):
    """A version that was never on the air."""

    version: int
    words: str
    awaits: bool = False
    """It was edited here and has not passed the gate."""


def task_page(visit: Visit) -> Page:
    """Show a task."""
    name, section = visit.task()
    store = visit.store
    history, versions = store.history(name), store.rule_sets(name)
    status, book = STATUS.read(store, name), DAYS.read(store, name) or DayBook()
    counts = store.counts_of([name]).get(name, TaskCounts())
    row = task_row(name, section, counts, history, status, book, visit.now)
    points = points_of(book.days)
    flags = [VersionFlag(version=entry.version, at=entry.created / DAY_S) for entry in history if entry.kind == "live"]
    serving = active_decisions(history)
    values = {
        "task": name, "section": section, "row": row, "counts": counts, "status": status, "seen": len(history),
        "live": serving.live.version if serving.live else None, "trial": serving.canary, "hold": serving.hold,
        "chart": quality_chart(points, flags) if points else None, "points": points,
        "waiting": waiting_versions(versions, [entry.version for entry in history]),
        "off": sorted(taken_off(history)),
        "decisions": [(entry, describe(entry)) for entry in reversed(history[-_DECISIONS:])],
        "promises": [describe_promise(entry) for entry in reversed(PROMISES.read(store, name) or ())],
        "cycles": [cycle_line(cycle) for cycle in store.cycles(name, limit=_CYCLES)],
        "next_run": next_run(visit.settings, name, visit.now), "lead": _lead(row), "did": visit.query.get("did", ""),
        "injecting": visit.settings.injection and store.injecting(),
    }  # fmt: skip
    return Page(template="task.html", values=values)


def waiting_versions(versions: Sequence[RuleSet], aired: Sequence[int | None]) -> list[WaitingVersion]:
    """Return the versions newer than every version that was ever on the air."""
    newest = max([version for version in aired if version is not None], default=0)
    return [
        WaitingVersion(version=known.version, words=_tested(known), awaits=awaits_gate(known))
        for known in versions
        if known.version > newest and known.version not in aired
    ]


def cycle_line(cycle: CycleRecord) -> CycleLine:
    """Return a run in words; an outcome of an older form shows its note."""
    outcome = outcome_of(cycle)
    if outcome is None:
        words = "under way" if cycle.ended is None else "ended without a result that this version can read"
        return CycleLine(id=cycle.id, started=cycle.started, words=words)
    return CycleLine(
        id=cycle.id,
        started=cycle.started,
        words=headline(outcome),
        details=tuple(statistics(outcome)),
        changed=bool(outcome.fixed_examples or outcome.broken_examples),
        calls=outcome.calls,
    )


def outcome_of(cycle: CycleRecord) -> Outcome | None:
    """Return the outcome of a run; ``None`` for a run under way or of another version."""
    try:
        return None if cycle.outcome is None else msgspec.json.decode(cycle.outcome, type=Outcome)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def next_run(settings: Settings, task: str, now: float) -> float | None:
    """Return the time of the learner's next scheduled run, in seconds since the epoch; ``None``: it is off."""
    if not settings.optimizer.enabled:
        return None
    trigger = cron_trigger(schedules(settings)[task])
    fires: dt.datetime | None = trigger.get_next_fire_time(None, dt.datetime.fromtimestamp(now, dt.UTC))
    return None if fires is None else fires.timestamp()


def awaits_gate(rule_set: RuleSet) -> bool:
    """Decide whether a version was edited here and never passed the gate."""
    return rule_set.evidence is None and rule_set.decided_by.startswith(CONSOLE)


def _tested(rule_set: RuleSet) -> str:
    evidence = rule_set.evidence
    if evidence is None or not evidence.items_used:
        return f"written by {rule_set.decided_by or 'somebody'}, never tested"
    before, after = evidence.before.accuracy, evidence.after.accuracy
    return f"right answers {before:.0%} → {after:.0%} on {evidence.items_used} unseen examples"


def _lead(row: TaskRow) -> str:
    if row.right is None:
        return "Nobody knows yet how many replies are right: label some in the queue, or send feedback."
    text = f"{row.right.share:.0%} of the replies are right ({row.right.low:.0%} to {row.right.high:.0%})."
    if row.worth is not None and "signs" not in row.worth.of:
        low, high = (f"{100 * bound:+.0f}" for bound in row.worth.interval)
        text += f" The rules are worth {100 * row.worth.change:+.0f} points ({low} to {high})."
    return text
