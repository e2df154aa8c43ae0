"""The look at a task's roll-out: reads the newest exchanges, carries the comparisons forward, writes what is decided.

A decision is one entry in the task's history, written only if nobody else has written one since it was read. What is
remembered from look to look lies in the note ``watch/<task>``, what people may want to know in ``live/<task>``; both
are written after the decision and may be lost: the next look counts again what they had not counted.
"""

import asyncio
import logging
from collections.abc import Sequence

import msgspec

from gateway.domain import Activation
from gateway.errors import Conflict
from gateway.rules.decisions import told
from gateway.rules.history import standing
from gateway.services import Services
from gateway.settings import Settings
from gateway.store.base import Observed, Store
from optimizer.monitoring.rollout.decide import Assessment, decide
from optimizer.monitoring.rollout.state import RolloutState, state_from
from optimizer.monitoring.rollout.status import RolloutStatus, rollout_status

log = logging.getLogger(__name__)

ROWS = 1000
"""Newest exchanges that a look reads, however many there are. What is recorded between two looks
beyond that is not compared, and a label that comes after so many younger exchanges is not seen."""
_AGE_S = 8 * 24 * 3600.0
"""Seconds after which an exchange is not looked at again: a little more than the past that is compared with."""
_AHEAD_S = 60.0
"""Seconds that a stored time may lie in the future before that is worth saying."""
_OFF = "rule sets are switched off: nothing is compared, nothing decided"


async def review(services: Services, task: str) -> None:
    """Look at a task once: decide what its exchanges demand, and write down where it stands. Raises ``StoreError``."""
    await asyncio.to_thread(look, services.store, services.settings, task, services.wall_clock())


def look(store: Store, settings: Settings, task: str, now: float) -> None:
    """What ``review`` does, on this thread. Raises ``StoreError``."""
    section = settings.tasks[task]
    history = store.history(task)
    if not history and section.serve in ("weak", "strong"):
        return
    if not (settings.injection and store.injecting()):
        _note(store, f"live/{task}", RolloutStatus(looked=now, wrong=(_OFF,), lines=(_OFF,)))
        return
    rows = store.observed(task, since=now - _AGE_S, limit=ROWS)
    before = state_from(store.note(f"watch/{task}"))
    memory = before.after(
        section, history, lambda version: store.rule_set(task, version), rows, full=len(rows) >= ROWS, now=now
    )
    course = decide(task, section, history, memory.comparisons, memory.steps, memory.agreement, now)
    if course.decision is not None:
        try:
            store.activate(course.decision, after=len(history))
        except Conflict:
            return  # somebody else decided meanwhile: what that means, the next look finds out
        history = [*history, course.decision]
        fields = {"action": "rollout.decide", "task": task, "why": course.decision.why}
        log.warning(told(course.decision), extra=fields)
    if memory.drift is not None and memory.drift.noticed_at == now:
        drifted = {"time": now, "version": memory.drift.version, "why": memory.drift.why}
        store.put_note(f"drift/{task}", msgspec.json.encode(drifted))
    made = rollout_status(
        section,
        standing(history),
        memory.comparisons,
        memory.agreement,
        memory.drift,
        course,
        history[-1] if history else None,
        _clock(history, rows, now),
        now,
    )
    _note(store, f"watch/{task}", _logged(task, before, memory, course))
    _note(store, f"live/{task}", made)


def _logged(task: str, before: RolloutState, memory: RolloutState, course: Assessment) -> RolloutState:
    """Tell the log what has become wrong since the last look; the memory that says so."""
    kinds = {f"harm {one.subject} {one.version}": one.why for one in course.harm}
    if memory.drift is not None and memory.drift.noticed_at is not None:
        kinds[f"drift {memory.drift.of}"] = memory.drift.why
    for kind, why in kinds.items():
        if kind not in before.told:
            log.warning(kind.split()[0], extra={"action": f"rollout.{kind.split()[0]}", "task": task, "why": why})
    return msgspec.structs.replace(memory, told=tuple(kinds))


def _clock(history: Sequence[Activation], rows: Sequence[Observed], now: float) -> list[str]:
    """What the times in the store say of the clock."""
    newest = max([entry.created for entry in history[-1:]] + [one.created for one in rows[-1:]], default=now)
    if newest - now <= _AHEAD_S:
        return []
    return [f"the clock went back: what was stored last is {newest - now:.0f} seconds in the future"]


def _note(store: Store, key: str, value: RolloutState | RolloutStatus) -> None:
    store.put_note(key, msgspec.json.encode(value))
