"""A change in what is right, such as a new policy of the house: labels from before it teach and measure the old one.

The labelled replies of the live version say since when it is wrong more often. That counts if the rise is sure, also
without any single key or tenant. From then on a task's cycles read the labels since the change only, also under later
versions. The watch for drift (``monitoring``) knows no more than the verification's promise, and sets nothing aside.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from gateway.domain import Value
from gateway.settings import Task
from gateway.store.base import Graded, Store
from gateway.store.notes import Note
from optimizer.dataset.graded_exchanges import correctness, examples_from
from optimizer.dataset.recorded_request import read_request
from optimizer.scheduling.triggers import items_of
from optimizer.statistics.change_point import rise_in


class PolicyChange(Value, frozen=True):
    """The last change of a task. Times in seconds since the epoch."""

    since: float
    version: int | None
    """The live version at that time."""
    earlier: float = 0.0
    """The change before."""


LOUDEST = 3
"""Keys, and tenants, with the most wrong replies; a rise must be sure without each of them."""
CHANGED = Note("changed", PolicyChange)


class _Outcome(NamedTuple):
    """A labelled reply of the live version."""

    created: float
    """Seconds since the epoch."""
    wrong: bool
    key: str | None
    tenant: str | None


def changed_since(store: Store, task: str, own: Sequence[Graded], section: Task, *, version: int | None) -> float:
    """Return the time of the last change of a task, in seconds since the epoch; 0 without any.

    ``own`` are the graded replies of the live ``version``. A time is noted, and estimated again while that version
    stays live. Blocks; raises ``StoreError``.
    """
    noted = CHANGED.read(store, task)
    known = noted.since if noted is not None else 0.0
    earlier = noted.earlier if noted is not None and noted.version == version else known
    outcomes = sorted(_outcomes(own, section, version), key=lambda outcome: outcome.created)
    replies = [reply for reply in outcomes if reply.created >= earlier]
    rise = rise_in([reply.wrong for reply in replies])
    if not rise.sure or not _without_any_voice(replies):
        return known
    change = PolicyChange(since=replies[rise.place].created, version=version, earlier=earlier)
    if change != noted:
        CHANGED.write(store, change, task)
    return change.since


def _without_any_voice(replies: Sequence[_Outcome]) -> bool:
    """Decide whether the rise stays sure when the replies of each single key or tenant are left out."""
    return _without_each(replies, [reply.key for reply in replies]) and _without_each(
        replies, [reply.tenant for reply in replies]
    )


def _without_each(replies: Sequence[_Outcome], voices: Sequence[str | None]) -> bool:
    """Tell if the rise is sure without each of the loudest voices; ``voices`` holds one for each reply."""
    if len(set(voices)) < 2:
        return True
    pairs = list(zip(replies, voices, strict=True))
    loud = Counter(voice for reply, voice in pairs if reply.wrong)
    return all(
        rise_in([reply.wrong for reply, voice in pairs if voice != left_out]).sure
        for left_out, _ in loud.most_common(LOUDEST)
    )


def _outcomes(own: Sequence[Graded], section: Task, version: int | None) -> list[_Outcome]:
    """Return the replies of the live version with a label."""
    seen = examples_from(own, section.grader, model=section.weak, rules=version).seen
    items = items_of(own)
    outcomes = []
    for entry in own:
        reply = seen.get(items.get(entry.exchange.id, ""))
        right = reply.correct if reply is not None else correctness(entry.feedback)
        if right is not None:
            tenant = read_request(entry.exchange.request).tenant
            outcomes.append(_Outcome(entry.exchange.created, not right, entry.exchange.key, tenant))
    return outcomes
