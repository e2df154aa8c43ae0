"""Fixed and broken: the examples of a run on which the versions differ, side by side."""

import math
from collections.abc import Sequence

from gateway.domain import Value
from gateway.errors import NotFound
from optimizer.console.task import cycle_line, outcome_of
from optimizer.console.visit import Page, Visit
from optimizer.distillation.outcome import ChangedItem, Outcome
from optimizer.grading.graders import text_of
from optimizer.report.summary import headline, statistics

ROWS = 20
_CYCLES = 20


class ChangedRow(Value, frozen=True):
    """An example with both replies."""

    id: str
    question: str
    expected: str
    before: str
    after: str
    fixed: bool


def changed_page(visit: Visit) -> Page:
    """Show the paired table of a run, the newest with changes unless another is asked for."""
    task, _ = visit.task()
    runs = [(cycle, outcome) for cycle in visit.store.cycles(task, limit=_CYCLES) if (outcome := outcome_of(cycle))]
    wanted = visit.whole("run")
    runs = [run for run in runs if run[1].items_used]
    chosen = next((run for run in runs if run[0].id == wanted), None) if wanted is not None else next(iter(runs), None)
    if wanted is not None and chosen is None:
        raise NotFound("This run is not among the newest of the task.")
    show = visit.query.get("show", "")
    outcome = chosen[1] if chosen is not None else None
    rows = rows_of(outcome) if outcome is not None else []
    wanted_rows = [row for row in rows if show not in ("fixed", "broken") or row.fixed == (show == "fixed")]
    pages = max(1, math.ceil(len(wanted_rows) / ROWS))
    page = min(max(visit.whole("page", 1) or 1, 1), pages)
    values = {
        "task": task, "runs": [cycle_line(cycle) for cycle, _ in runs], "run": chosen[0] if chosen else None,
        "outcome": outcome, "show": show, "details": statistics(outcome) if outcome else [],
        "rows": wanted_rows[(page - 1) * ROWS : page * ROWS], "page": page, "pages": pages,
        "lead": f"{headline(outcome)}." if outcome else "No candidate came to a test yet.",
        "kept": len(rows), "all": outcome.fixed + outcome.broken if outcome else 0,
    }  # fmt: skip
    return Page(template="changed.html", values=values)


def rows_of(outcome: Outcome) -> list[ChangedRow]:
    """Return the kept examples, broken ones first: they are looked for."""
    return [*_rows(outcome.broken_examples, fixed=False), *_rows(outcome.fixed_examples, fixed=True)]


def _rows(items: Sequence[ChangedItem], *, fixed: bool) -> list[ChangedRow]:
    return [
        ChangedRow(
            id=item.id, question=item.input, expected=text_of(item.expected), before=item.before, after=item.after,
            fixed=fixed,
        )
        for item in items
    ]  # fmt: skip
