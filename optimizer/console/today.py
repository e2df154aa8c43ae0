"""The first page: a row for each task, with traffic, quality, money and state."""

import math
from collections.abc import Sequence

from gateway.domain import Activation, Value
from gateway.settings import Task
from gateway.store.base import TaskCounts
from gateway.store.history import active_decisions
from gateway.store.notes import ROLLOUT
from optimizer.console.shares import Share, share_of
from optimizer.console.visit import Page, Visit
from optimizer.monitoring.attention import ATTENTION, Attention
from optimizer.monitoring.daybook import DAY_S, DAYS, BookedDay, DayBook
from optimizer.monitoring.rollout.status import STATUS, Benefit, RolloutStatus

ROWS = 50
_WEEK = 7


class TaskRow(Value, frozen=True):
    """A task on the page; ``tone`` and ``mark`` say in colour and shape what ``state`` says in words."""

    name: str
    weak: str
    strong: str
    state: str
    tone: str
    mark: str
    detail: str = ""
    right: Share | None = None
    worth: Benefit | None = None
    exchanges: int = 0
    week: int = 0
    """Requests of the last seven days."""
    weak_share: float = 0.0
    cost: float | None = None
    saved: float | None = None


def today(visit: Visit) -> Page:
    """Show a page of tasks."""
    query = visit.query.get("q", "").strip()
    names = [name for name in visit.settings.tasks if query.casefold() in name.casefold()]
    pages = max(1, math.ceil(len(names) / ROWS))
    page = min(max(visit.whole("page", 1) or 1, 1), pages)
    shown = names[(page - 1) * ROWS : page * ROWS]
    rows = _rows(visit, shown)
    attention = (ATTENTION.read(visit.store) or Attention()).reasons
    known = [(task, why) for task, why in attention.items() if task in visit.settings.tasks]
    values = {
        "rows": sorted(rows, key=lambda row: (row.tone != "warn", -row.week, -row.exchanges)),
        "attention": known, "lead": _lead(rows, len(names), len(known)), "q": query, "page": page, "pages": pages,
        "tasks": len(names), "off": not (visit.settings.injection and visit.store.injecting()),
    }  # fmt: skip
    return Page(template="today.html", values=values)


def _rows(visit: Visit, names: Sequence[str]) -> list[TaskRow]:
    store = visit.store
    counts, decisions = store.counts_of(names), store.newest_decisions(names)
    notes = store.notes([note.key(name) for name in names for note in (ROLLOUT, DAYS)])
    return [
        task_row(
            name, visit.settings.tasks[name], counts.get(name, TaskCounts()), decisions.get(name, []),
            STATUS.decoded(notes.get(ROLLOUT.key(name))), DAYS.decoded(notes.get(DAYS.key(name))), visit.now,
        )
        for name in names
    ]  # fmt: skip


def task_row(
    name: str, section: Task, counts: TaskCounts, decisions: Sequence[Activation], status: RolloutStatus | None,
    book: DayBook | None, now: float,
) -> TaskRow:  # fmt: skip
    """Return the row of a task."""
    days = (book or DayBook()).since(int(now // DAY_S) - _WEEK + 1)
    week, by_weak = sum(day.exchanges for day in days), sum(day.by_weak for day in days)
    state, tone, mark, detail = state_of(decisions, status)
    live = active_decisions(decisions).live
    return TaskRow(
        name=name, weak=section.weak, strong=section.strong, state=state, tone=tone, mark=mark, detail=detail,
        right=quality_of(days, live.version if live is not None else None),
        worth=status.benefit if status is not None else None, exchanges=counts.exchanges, week=week,
        weak_share=by_weak / week if week else 0.0, cost=sum(day.cost for day in days) if week else None,
        saved=sum(day.saved for day in days) if week else None,
    )  # fmt: skip


def state_of(decisions: Sequence[Activation], status: RolloutStatus | None) -> tuple[str, str, str, str]:
    """Return a task's state in words, its tone and mark, and a detail."""
    serving = active_decisions(decisions)
    wrong = status.wrong if status is not None else ()
    waiting = status.waiting if status is not None else ()
    asked = next((text for text in waiting if "waits for a person" in text), "")
    if wrong or asked:
        return "Needs you", "warn", "!", wrong[0] if wrong else asked
    if serving.canary is not None:
        detail = waiting[0] if waiting else ""
        return f"Trial of v{serving.canary.version}, {serving.canary.share:.0%}", "brand", "◐", detail
    if serving.live is not None and serving.live.version is not None:
        return f"Live: v{serving.live.version}", "good", "●", ""
    return "Learning", "", "○", "no version yet"


def quality_of(days: Sequence[BookedDay], live: int | None) -> Share | None:
    """Return the share of right replies of the live version; of audited ones, if enough are labelled."""
    labels = [labelled for day in days for labelled in day.labels if labelled.version == live]
    audited = share_of(sum(known.audited_right for known in labels), sum(known.audited for known in labels))
    if audited is not None and audited.n >= 20:
        return audited
    return share_of(
        sum(known.audited_right + known.others_right for known in labels),
        sum(known.audited + known.others for known in labels),
    )


def _lead(rows: Sequence[TaskRow], tasks: int, needs: int) -> str:
    trials = sum(row.tone == "brand" for row in rows)
    saved = sum(row.saved or 0.0 for row in rows)
    parts = [f"{tasks:,} task{'s' if tasks != 1 else ''}"]
    parts += [f"{trials} on trial"] if trials else []
    parts += [f"{needs} need{'s' if needs == 1 else ''} you"] if needs else ["nothing needs you"]
    parts += [f"${saved:,.2f} saved in 7 days"] if saved > 0 and tasks <= ROWS else []
    return ", ".join(parts) + "."
