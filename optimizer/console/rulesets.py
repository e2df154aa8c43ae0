"""A version in full: rules with reasons and effects, worksheet, examples, cost, and the change since the one before."""

from collections.abc import Iterator

import msgspec

from gateway.domain import Rule, RuleRecord, RuleSet, Value
from gateway.errors import BadRequest, Conflict, NotFound
from gateway.forms import check_parts
from gateway.rules.versions import difference
from gateway.store.history import active_decisions
from optimizer.console.visit import Page, Redirect, Visit, address
from optimizer.distillation.induction.own_rules import objections
from optimizer.monitoring.daybook import DAY_S, DAYS, DayBook

_EXAMPLES = 30
_READ = 200
"""Newest graded requests that the lint compares an operator's rules with."""
_READ_BYTES = 8_000_000
_MONTH_DAYS = 30
_MOST_RULES = 40


class ShownRule(Value, frozen=True):
    """A rule with its record."""

    rule: Rule
    record: RuleRecord | None


def rules_page(visit: Visit) -> Page:
    """Show a version: the one in the address, or else the live one, or the newest."""
    return _page(visit)


def edit_rules(visit: Visit) -> Page | Redirect:
    """Store edited rules as the next version, past the lint; it waits, and a trial tests it on traffic."""
    task, section = visit.task()
    base = _version(visit, task)
    rules = tuple(_typed(visit))
    if not rules:
        raise BadRequest("A version needs a rule at least. To serve without rules, take the version off.")
    rules_set = msgspec.structs.replace(
        base, rules=rules, evidence=None, parent=base.version, created=visit.now, decided_by=visit.by
    )
    try:
        check_parts(rules_set)
    except BadRequest as error:
        return _page(visit, problems=[error.message], typed=rules)
    store = visit.store
    requests = [known.exchange.request for known in store.graded(task, limit=_READ, max_bytes=_READ_BYTES)]
    refused = objections(rules_set, requests, least=visit.settings.optimizer.quote_conversations, labels=section.labels)
    if refused:
        return _page(visit, problems=[f"{entry.what!r} {entry.why}" for entry in refused], typed=rules)
    try:
        published = store.publish(rules_set, after=visit.sent("seen"))
    except Conflict:
        raise Conflict("Somebody else published a version meanwhile. Yours was not stored: edit the newest.") from None
    return Redirect(to=address("tasks", task, "rules", published.version) + "?did=stored")


def _typed(visit: Visit) -> Iterator[Rule]:
    for place in range(_MOST_RULES):
        text = visit.form.get(f"rule-{place}", "").strip()
        if text:
            yield Rule(
                text=text,
                reason=visit.form.get(f"reason-{place}", "").strip(),
                when=visit.form.get(f"when-{place}", "").strip(),
            )


def _version(visit: Visit, task: str) -> RuleSet:
    text = visit.path[1] if len(visit.path) > 1 else ""
    rule_set = visit.store.rule_set(task, int(text)) if text.isdecimal() and len(text) < 10 else None
    if rule_set is None:
        raise NotFound(f"Task {task!r} has no version {text!r}.")
    return rule_set


def _page(visit: Visit, problems: list[str] | None = None, typed: tuple[Rule, ...] = ()) -> Page:
    task, section = visit.task()
    store = visit.store
    versions, history = store.rule_sets(task), store.history(task)
    serving = active_decisions(history)
    live = serving.live.version if serving.live is not None else None
    if len(visit.path) > 1:
        shown: RuleSet | None = _version(visit, task)
    else:
        shown = next((known for known in versions if known.version == live), versions[-1] if versions else None)
    before = next((known for known in versions if shown is not None and known.version == shown.parent), None)
    records = {record.id: record for record in (shown.evidence.rules if shown and shown.evidence else ())}
    values = {
        "task": task, "versions": [known.version for known in reversed(versions)], "version": shown, "live": live,
        "trial": serving.canary, "seen": len(history), "count": len(versions), "problems": problems or [],
        "rules": [ShownRule(rule=rule, record=records.get(rule.id)) for rule in shown.rules] if shown else [],
        "editing": typed or (shown.rules if shown else ()), "open": bool(problems), "before": before,
        "diff": difference(before or RuleSet(task=task), shown)[2:] if shown else [],
        "examples": shown.examples[:_EXAMPLES] if shown else (), "tokens": _tokens(shown),
        "month": _month(visit, task, _tokens(shown)), "did": visit.query.get("did", ""), "section": section,
        "aired": {entry.version for entry in history},
    }  # fmt: skip
    return Page(template="rules.html", values=values, status=400 if problems else 200)


def _tokens(rule_set: RuleSet | None) -> int:
    """Return the estimated tokens that the rules add to a prompt: one for four bytes."""
    return sum(len(rule.text.encode()) + 3 for rule in rule_set.rules) // 4 if rule_set is not None else 0


def _month(visit: Visit, task: str, tokens: int) -> float | None:
    """Return the cost of these tokens in 30 days at the traffic of the last seven; ``None`` without a price."""
    price = visit.settings.models[visit.settings.tasks[task].weak].price.input
    days = (DAYS.read(visit.store, task) or DayBook()).since(int(visit.now // DAY_S) - 6)
    requests = sum(day.by_weak for day in days) / 7 * _MONTH_DAYS
    return requests * tokens * price / 1e6 if price else None
