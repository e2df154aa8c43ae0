"""Decisions of people at the console. The second of two decides nothing, and hears why."""

from collections.abc import Callable

from gateway.domain import ALL_TASKS, Activation
from gateway.errors import BadRequest, Conflict
from gateway.rules.decisions import describe, hold_trial, put_live, put_on_trial, roll_back, switch_injection
from gateway.rules.live import refresh
from gateway.store.history import active_decisions
from optimizer.console.task import awaits_gate
from optimizer.console.visit import Page, Redirect, Visit, address


def decide(visit: Visit) -> Page | Redirect:
    """Carry out a decision about a task's versions."""
    task, section = visit.task()
    seen, what, version = visit.sent("seen"), visit.form.get("what", ""), visit.sent("version")
    if seen is None:
        raise BadRequest("The form does not say which page it came from. Load the page again.")
    store, now, by = visit.store, visit.now, visit.by
    why = visit.form.get("why", "").strip()[:500]
    trial = active_decisions(store.history(task)).canary
    larger = next((share for share in section.rollout.steps if trial is None or share > trial.share), 1.0)
    actions: dict[str, Callable[[], Activation]] = {
        "live": lambda: put_live(
            store, task, _given(version), now=now, by=by, why=why or "made live by hand", after=seen
        ),
        "none": lambda: put_live(store, task, None, now=now, by=by, why=why or "taken off by hand", after=seen),
        "trial": lambda: put_on_trial(
            store, task, _given(version), min(section.rollout.steps[0], 0.5), now=now, by=by,
            why=why or "put on trial by hand", after=seen,
        ),
        "more": lambda: put_on_trial(
            store, task, _given(version), min(larger, 0.95), now=now, by=by,
            why=why or "a larger share by hand", after=seen,
        ),
        "hold": lambda: hold_trial(store, task, True, now=now, by=by, why=why, after=seen),
        "go-on": lambda: hold_trial(store, task, False, now=now, by=by, why=why, after=seen),
        "back": lambda: roll_back(store, task, now=now, by=by, why=why, after=seen),
    }  # fmt: skip
    if what in ("live", "trial", "more"):
        _check_gate(visit, task, _given(version))
    if what not in actions:
        raise BadRequest("There is no such decision.")
    try:
        decision = actions[what]()
    except Conflict as error:
        raise _overtaken(visit, task, seen, error) from None
    refresh(store, visit.services.rules)
    back = visit.form.get("back", "")
    where = address("tasks", task, "trial") if back == "trial" else address("tasks", task)
    return Redirect(to=f"{where}?did={decision.kind}")


def _check_gate(visit: Visit, task: str, version: int) -> None:
    """Raise ``Conflict`` for a version that was edited here and did not pass the gate."""
    rule_set = visit.store.rule_set(task, version)
    if rule_set is not None and awaits_gate(rule_set):
        raise Conflict(
            f"Version {version} was edited here and has not passed the gate: the learner's next run tests it. To serve"
            f" it untested, use 'preceptor rules activate {task} {version}'."
        )


def switch(visit: Visit) -> Redirect:
    """Turn every rule set off or on: the kill switch."""
    seen, on = visit.sent("seen"), visit.form.get("on") == "yes"
    if seen != len(visit.store.history(ALL_TASKS)):
        raise Conflict("Somebody else turned the rule sets on or off meanwhile. Load the page again.")
    why = visit.form.get("why", "").strip()[:500]
    switch_injection(visit.store, on, now=visit.now, by=visit.by, why=why)
    refresh(visit.store, visit.services.rules)
    return Redirect(to="/ui")


def _given(version: int | None) -> int:
    if version is None:
        raise BadRequest("Choose a version.")
    return version


def _overtaken(visit: Visit, task: str, seen: int, error: Conflict) -> Conflict:
    """Return the refusal, with the decision that came first."""
    newer = visit.store.history(task)[seen:]
    if not newer:
        return error
    first = newer[-1]
    return Conflict(
        f"{first.by} decided meanwhile: {describe(first)}. Nothing of yours was changed: look at the task again."
    )
