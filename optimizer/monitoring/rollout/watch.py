"""The review of a task's roll-out: read the newest exchanges, carry the comparisons forward, write the decision.

A decision is one entry in the task's history, written only if the history has not changed since it was read. The state
lies in the note ``watch/<task>``, the status for people in ``live/<task>``. Both are written after the decision and may
be lost: the next look counts the missing rows again.
"""

import asyncio
import logging
from collections.abc import Sequence

import msgspec

from gateway.context import LearnerContext
from gateway.domain import Activation
from gateway.errors import Conflict
from gateway.rules.decisions import carry_out, describe
from gateway.settings import Settings
from gateway.store.base import Observed, Store
from gateway.store.history import active_decisions
from gateway.store.notes import DRIFT, ROLLOUT, DriftNotice
from optimizer.monitoring.attention import call_for
from optimizer.monitoring.rollout.answer_pairs import PAIRS, PairBook
from optimizer.monitoring.rollout.comparison import Comparison, Look
from optimizer.monitoring.rollout.decide import Assessment, decide
from optimizer.monitoring.rollout.evidence_path import PATHS, PathBook
from optimizer.monitoring.rollout.promises import (
    PROMISES,
    FieldMeasurement,
    LedgerEntry,
    ledger_entry,
    promise_of,
    with_entry,
)
from optimizer.monitoring.rollout.state import STATE, RolloutState
from optimizer.monitoring.rollout.status import RolloutStatus, benefit_of, rollout_status

log = logging.getLogger(__name__)

ROWS = 1000
"""Newest exchanges per look. Exchanges beyond that between two looks are not compared."""
_AGE_S = 8 * 24 * 3600.0
"""Seconds after which an exchange is not read again: a little more than the past of a comparison."""
_AHEAD_S = 60.0
"""Seconds that a stored time may lie in the future before it is reported."""
_OFF = "rule sets are switched off: nothing is compared, nothing decided"


async def review(context: LearnerContext, task: str) -> None:
    """Review a task once: decide and write down the state. Raises ``StoreError``."""
    await asyncio.to_thread(look, context.store, context.settings, task, context.wall_clock())


def look(store: Store, settings: Settings, task: str, now: float) -> None:
    """Review a task on this thread. Raises ``StoreError``."""
    section = settings.tasks[task]
    history = store.history(task)
    if not history and section.serve in ("weak", "strong"):
        return
    if not (settings.injection and store.injecting()):
        ROLLOUT.write(store, RolloutStatus(looked=now, wrong=(_OFF,), lines=(_OFF,)), task)
        return
    before = STATE.read(store, task) or RolloutState()
    seen = _look(store, task, section.weak, before, now)
    state = before.after(section, history, lambda version: store.rule_set(task, version), seen[0])
    state = msgspec.structs.replace(state, judged=seen[1])
    assessment = decide(task, section, history, state.comparisons, state.steps, state.agreement, now)
    if assessment.decision is not None:
        try:
            carry_out(store, assessment.decision, after=len(history))
        except Conflict:
            return  # another decision came first: the next look sees it
        history = [*history, assessment.decision]
        fields = {"action": "rollout.decide", "task": task, "why": assessment.decision.why}
        log.warning(describe(assessment.decision), extra=fields)
    if state.drift is not None and state.drift.noticed_at == now:
        DRIFT.write(store, DriftNotice(time=now, version=state.drift.version, why=state.drift.why), task)
    ledger = _ledger(store, task, state, now)
    status = rollout_status(
        section,
        active_decisions(history),
        state,
        assessment,
        ledger,
        history[-1] if history else None,
        _clock(history, seen[0].rows, now),
        now,
    )
    STATE.write(store, _logged(task, before, state, assessment), task)
    ROLLOUT.write(store, status, task)
    _note_path(store, task, status, now)
    call_for(store, task, next(iter(status.wrong), "") or _asked(assessment))


def _note_path(store: Store, task: str, status: RolloutStatus, now: float) -> None:
    """Add a look to the paths of the evidence, if it saw anything new."""
    before = PATHS.read(store, task) or PathBook()
    after = before.after(status.comparisons, now)
    if after is not before:
        PATHS.write(store, after, task)


def _asked(assessment: Assessment) -> str:
    """Return what waits for a person; empty if nothing does."""
    return next((awaited for awaited in assessment.waiting if "waits for a person" in awaited), "")


def _look(store: Store, task: str, weak: str, before: RolloutState, now: float) -> tuple[Look, int]:
    """Return all that is new of a task, and the position among its judgements."""
    rows = store.observed(task, since=now - _AGE_S, limit=ROWS)
    judged, position = store.judged(task, before.judged, limit=ROWS)
    book = PAIRS.read(store, task) or PairBook()
    pairs = book.newer(before.paired)
    return Look(rows=rows, full=len(rows) >= ROWS, judged=judged, pairs=pairs, weak=weak, now=now), position


def _ledger(store: Store, task: str, state: RolloutState, now: float) -> tuple[LedgerEntry, ...]:
    """Return the promise ledger after this look, and write it if it has changed."""
    before = PROMISES.read(store, task) or ()
    ledger = before
    for comparison in state.comparisons:
        version = comparison.pairing.version
        if comparison.pairing.subject in ("trial", "holdback") and version is not None:
            promise = promise_of(store.rule_set(task, version))
            if promise is not None:
                ledger = with_entry(ledger, ledger_entry(promise, measurement(comparison, promise.against, now)))
    if ledger != before:
        PROMISES.write(store, ledger, task)
    return ledger


def measurement(comparison: Comparison, against: int | None, now: float) -> FieldMeasurement | None:
    """Return the measured change of a comparison with a version; ``None`` if labels show none. Signs are no labels."""
    benefit = benefit_of(comparison)
    if benefit is None or benefit.against != against or "signs" in benefit.of:
        return None
    return FieldMeasurement(
        change=benefit.change, interval=benefit.interval, units=benefit.units, of=benefit.of, since=comparison.began,
        until=now,
    )  # fmt: skip


def _logged(task: str, before: RolloutState, state: RolloutState, assessment: Assessment) -> RolloutState:
    """Log the new faults since the last look; returns the state that remembers them."""
    kinds = {f"harm {harm.subject} {harm.version}": harm.why for harm in assessment.harm}
    if state.drift is not None and state.drift.noticed_at is not None:
        kinds[f"drift {state.drift.of}"] = state.drift.why
    for kind, why in kinds.items():
        if kind not in before.logged:
            log.warning(kind.split()[0], extra={"action": f"rollout.{kind.split()[0]}", "task": task, "why": why})
    return msgspec.structs.replace(state, logged=tuple(kinds))


def _clock(history: Sequence[Activation], rows: Sequence[Observed], now: float) -> list[str]:
    """Return the faults of the clock, by the times in the store."""
    newest = max([entry.created for entry in history[-1:]] + [exchange.created for exchange in rows[-1:]], default=now)
    if newest - now <= _AHEAD_S:
        return []
    return [f"the clock went back: what was stored last is {newest - now:.0f} seconds in the future"]
