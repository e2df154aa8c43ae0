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
from gateway.rules.decisions import describe
from gateway.settings import Settings
from gateway.store.base import Observed, Store
from gateway.store.history import active_decisions
from gateway.store.notes import DRIFT, ROLLOUT, DriftNotice
from optimizer.monitoring.rollout.decide import Assessment, decide
from optimizer.monitoring.rollout.state import STATE, RolloutState
from optimizer.monitoring.rollout.status import RolloutStatus, rollout_status

log = logging.getLogger(__name__)

ROWS = 1000
"""Newest exchanges per look. Exchanges beyond that between two looks are not compared, and a label behind so many
younger exchanges is not seen."""
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
    rows = store.observed(task, since=now - _AGE_S, limit=ROWS)
    before = STATE.read(store, task) or RolloutState()
    state = before.after(
        section, history, lambda version: store.rule_set(task, version), rows, full=len(rows) >= ROWS, now=now
    )
    assessment = decide(task, section, history, state.comparisons, state.steps, state.agreement, now)
    if assessment.decision is not None:
        try:
            store.activate(assessment.decision, after=len(history))
        except Conflict:
            return  # another decision came first: the next look sees it
        history = [*history, assessment.decision]
        fields = {"action": "rollout.decide", "task": task, "why": assessment.decision.why}
        log.warning(describe(assessment.decision), extra=fields)
    if state.drift is not None and state.drift.noticed_at == now:
        DRIFT.write(store, DriftNotice(time=now, version=state.drift.version, why=state.drift.why), task)
    status = rollout_status(
        section,
        active_decisions(history),
        state.comparisons,
        state.agreement,
        state.drift,
        assessment,
        history[-1] if history else None,
        _clock(history, rows, now),
        now,
    )
    STATE.write(store, _logged(task, before, state, assessment), task)
    ROLLOUT.write(store, status, task)


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
