"""The tasks that need a person, with the reason of each: one note, so that nobody reads all tasks to find them."""

from collections.abc import Mapping

from gateway.domain import Value
from gateway.store.base import Store
from gateway.store.notes import Note

MOST = 200


class Attention(Value, frozen=True):
    """The reasons by task."""

    reasons: Mapping[str, str] = {}


ATTENTION = Note("attention", Attention)


def call_for(store: Store, task: str, reason: str) -> None:
    """Note that a task needs a person; an empty reason: no longer. Writes changes only. Raises ``StoreError``."""
    before = (ATTENTION.read(store) or Attention()).reasons
    if before.get(task, "") == reason or (reason and task not in before and len(before) >= MOST):
        return
    after = {name: why for name, why in {**before, task: reason}.items() if why}
    ATTENTION.write(store, Attention(reasons=after))
