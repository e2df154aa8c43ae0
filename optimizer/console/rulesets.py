"""A version in full: rules with reasons and effects, worksheet, examples, cost, and the change since the one before.

Edited rules pass the lint here and the gate in the learner's next run. No button puts them on the air before.
"""

from collections.abc import Iterator

import msgspec

from gateway.domain import Rule, RuleRecord, RuleSet, Value
from gateway.errors import BadRequest, Conflict, NotFound
from gateway.forms import check_parts
from gateway.rules.versions import difference
from gateway.store.history import active_decisions
from optimizer.console.task import awaits_gate, next_run, outcome_of
from optimizer.console.visit import Page, Redirect, Visit, address
from optimizer.distillation.asked import ASKED, PINNED, AskedTest, pin, unpin
from optimizer.distillation.induction.own_rules import objections
from optimizer.monitoring.daybook import DAY_S, DAYS, DayBook

_EXAMPLES = 30
_READ = 200
"""Newest graded requests that the lint compares an operator's rules with."""
_READ_BYTES = 8_000_000
_MONTH_DAYS = 30
_CYCLES = 20
_MOST_RULES = 40


class ShownRule(Value, frozen=True):
    """A rule with its record."""

    rule: Rule
    record: RuleRecord | None
    pinned: str = ""
    """Who pinned it; empty for nobody."""


def rules_page(visit: Visit) -> Page:
    """Show the version in the address; without one the live or the newest."""
    return _page(visit)


def edit_rules(visit: Visit) -> Page | Redirect:
    """Store edited rules as the next version, past the lint, and ask for the gate; new and changed rules are pinned."""
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
    known = {rule.id for rule in base.rules}
    pin(store, task, (rule for rule in rules if rule.id not in known), visit.by)
    ASKED.write(store, AskedTest(version=published.version, by=visit.by, at=visit.now), task)
    return Redirect(to=address("tasks", task, "rules", published.version) + "?did=stored")


def wish(visit: Visit) -> Redirect:
    """Pin a rule, let it go, or ask for the gate once more."""
    task, _ = visit.task()
    rule_set, what = _version(visit, task), visit.form.get("what", "")
    rule = next((rule for rule in rule_set.rules if rule.id == visit.form.get("rule")), None)
    if what == "test" and awaits_gate(rule_set):
        ASKED.write(visit.store, AskedTest(version=rule_set.version, by=visit.by, at=visit.now), task)
    elif what == "pin" and rule is not None:
        pin(visit.store, task, [rule], visit.by)
    elif what == "unpin" and rule is not None:
        unpin(visit.store, task, rule.id)
    else:
        raise BadRequest("There is no such button for this version.")
    return Redirect(to=address("tasks", task, "rules", rule_set.version))


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
    pinned, asked = PINNED.read(store, task) or {}, ASKED.read(store, task)
    runs = (outcome_of(cycle) for cycle in store.cycles(task, limit=_CYCLES))
    gate = next((known for known in runs if known and shown and known.rules and known.rules == shown.rules), None)
    records = {record.id: record for record in (shown.evidence.rules if shown and shown.evidence else ())}
    values = {
        "task": task, "versions": [known.version for known in reversed(versions)], "version": shown, "live": live,
        "trial": serving.canary, "seen": len(history), "count": len(versions), "problems": problems or [],
        "rules": [
            ShownRule(rule=rule, record=records.get(rule.id), pinned=pinned.get(rule.id, "")) for rule in shown.rules
        ] if shown else [],
        "awaits": shown is not None and awaits_gate(shown), "gate": gate,
        "asked": asked if asked is not None and shown is not None and asked.version == shown.version else None,
        "next_run": next_run(visit.settings, task, visit.now),
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
