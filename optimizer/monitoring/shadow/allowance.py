"""A task's budget of background calls per day and the fate of its comparisons, as a note in the store.

A restart forgets nothing. Calls are counted before they are made: a process killed in between has counted too many,
never too few.
"""

from collections.abc import Mapping

import msgspec

from gateway.domain import Value
from gateway.store.base import Store
from gateway.store.notes import Note

HOURS = 24


class Account(Value, frozen=True):
    """The calls and comparisons of one task."""

    calls: Mapping[int, int] = {}
    """Calls by hour since the epoch."""
    totals: Mapping[str, int] = {}
    """Exchanges by fate: ``compared``; answered but ``ungradable``; ``refused`` by the other model for their content;
    ``given_up`` as too old, too many, or beyond the day's budget; ``failed`` by our fault."""
    wrong: str = ""
    """The present obstacle to asking; empty if there is none."""

    def left(self, calls_per_day: int, now: float) -> int:
        """Return the number of calls still allowed. ``now`` is in seconds since the epoch.

        An hour counts as long as any of it lies within the last 24: no 24 hours hold more than the budget.
        """
        return max(0, calls_per_day - sum(self._recent(now).values()))

    def with_calls(self, calls: int, now: float) -> "Account":
        """Return the account with ``calls`` more (or fewer) in this hour; expired hours are left out."""
        hour = _hour(now)
        counted = self._recent(now)
        counted[hour] = max(0, counted.get(hour, 0) + calls)
        return msgspec.structs.replace(self, calls={hour: calls for hour, calls in counted.items() if calls})

    def with_totals(self, more: Mapping[str, int], wrong: str) -> "Account":
        """Return the account with the results of a look added, and its present fault."""
        totals = {name: self.totals.get(name, 0) + more.get(name, 0) for name in {**self.totals, **more}}
        return msgspec.structs.replace(self, totals=totals, wrong=wrong)

    def _recent(self, now: float) -> dict[int, int]:
        """Calls of the last day. Future hours came from a clock that has been put right since; they do not count."""
        return {hour: calls for hour, calls in self.calls.items() if 0 <= _hour(now) - hour <= HOURS}


ACCOUNT = Note("shadow", Account)


def account_of(store: Store, task: str) -> Account:
    """Return a task's account; a new one if the note is missing or unreadable. Blocks; raises ``StoreError``."""
    return ACCOUNT.read(store, task) or Account()


def _hour(now: float) -> int:
    return int(now // 3600)
