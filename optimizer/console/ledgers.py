"""The lists: promises kept, upstreams with their health, keys, and who decided what."""

import math

from gateway import issued_keys
from gateway.domain import ALL_TASKS, Value
from gateway.rules.decisions import describe
from gateway.spending.book import SPEND, day_of
from gateway.spending.report import SpentLine, lines
from gateway.store import trail
from gateway.upstream.guarded import Guarded
from optimizer.console.visit import Page, Visit
from optimizer.monitoring.daybook import DAY_S
from optimizer.monitoring.rollout.promises import PROMISES, LedgerEntry
from optimizer.monitoring.rollout.promises import describe as describe_promise

_TASKS = 200
_DECISIONS = 200
_DEEDS = 100
_SPENT_DAYS = 30
_VERDICTS = {
    "held": ("Kept", "good", "✓"), "exceeded": ("More than promised", "good", "✓"),
    "broken": ("Less than promised", "bad", "✗"), "open": ("Too early to tell", "", "…"),
}  # fmt: skip


class PromiseRow(Value, frozen=True):
    """A promise with its verdict in words."""

    task: str
    entry: LedgerEntry
    words: str
    verdict: str
    tone: str
    mark: str


class UpstreamRow(Value, frozen=True):
    """An upstream and its health."""

    name: str
    kind: str
    models: tuple[str, ...]
    why: str
    """Why it cannot serve now; empty if it can."""
    under_way: int
    waiting: int


def promises_page(visit: Visit) -> Page:
    """List the promises of every version, newest first, for a page of tasks."""
    names = list(visit.settings.tasks)
    pages = max(1, math.ceil(len(names) / _TASKS))
    page = min(max(visit.whole("page", 1) or 1, 1), pages)
    shown = names[(page - 1) * _TASKS : page * _TASKS]
    notes = visit.store.notes([PROMISES.key(name) for name in shown])
    rows = [
        PromiseRow(task=name, entry=entry, words=describe_promise(entry), verdict=words, tone=tone, mark=mark)
        for name in shown
        for entry in PROMISES.decoded(notes.get(PROMISES.key(name))) or ()
        for words, tone, mark in [_VERDICTS[entry.verdict]]
    ]
    rows.sort(key=lambda row: -row.entry.promise.made_at)
    judged = [row for row in rows if row.entry.verdict != "open"]
    kept = sum(row.entry.verdict != "broken" for row in judged)
    values = {"rows": rows, "judged": len(judged), "kept": kept, "page": page, "pages": pages}
    return Page(template="promises.html", values=values)


def upstreams_page(visit: Visit) -> Page:
    """List the upstreams as this process sees them."""
    serving, settings = visit.services.serving, visit.settings
    rows = []
    for name, upstream in serving.upstreams.items():
        models = tuple(model for model, section in settings.models.items() if name in section.every_upstream)
        guard = upstream if isinstance(upstream, Guarded) else None
        rows.append(
            UpstreamRow(
                name=name, kind=str(settings.upstreams[name].__struct_config__.tag), models=models,
                why=upstream.ready() or "", under_way=guard.in_flight if guard else 0,
                waiting=guard.waiting if guard else 0,
            )
        )  # fmt: skip
    return Page(template="upstreams.html", values={"rows": rows, "recorder": visit.services.writer.error})


def keys_page(visit: Visit) -> Page:
    """List the keys without their secrets, with the spending of 30 days."""
    issued = issued_keys.read(visit.store)
    rows = issued_keys.listed(visit.settings.keys, issued, visit.now)
    spent = {line.name: line for line in _spent(visit)}
    others = [line for name, line in spent.items() if name not in {row["name"] for row in rows}]
    return Page(template="keys.html", values={"rows": rows, "spent": spent, "others": others})


def _spent(visit: Visit) -> list[SpentLine]:
    """Return the spending by key, out of one reading."""
    days = [day_of(visit.now - back * DAY_S) for back in range(_SPENT_DAYS)]
    notes = visit.store.notes([SPEND.key(day) for day in days])
    return lines({day: SPEND.decoded(notes.get(SPEND.key(day))) or () for day in days}, "key", {})


def history_page(visit: Visit) -> Page:
    """List the newest decisions about all tasks."""
    entries = visit.store.decisions(limit=_DECISIONS)
    rows = [(entry, "all tasks" if entry.task == ALL_TASKS else entry.task, describe(entry)) for entry in entries]
    injecting = visit.store.injecting()
    values = {
        "rows": rows, "injecting": injecting, "allowed": visit.settings.injection,
        "seen": len(visit.store.history(ALL_TASKS)), "deeds": trail.newest(visit.store, limit=_DEEDS),
    }  # fmt: skip
    return Page(template="history.html", values=values)
