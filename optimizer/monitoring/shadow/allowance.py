"""What the background may ask for a task in a day, and what came of it: a note in the store, so that a restart does not
forget. Calls are counted before they are made; a process that is killed in between has counted too many, never too few.
"""

from collections.abc import Mapping

import msgspec

from gateway.domain import Value
from gateway.store.base import Store

HOURS = 24


class Account(Value, frozen=True):
    """The calls and comparisons of one task."""

    calls: Mapping[int, int] = {}
    """Calls by hour since the epoch."""
    totals: Mapping[str, int] = {}
    """How many exchanges were ``compared``; answered but ``ungradable``; ``refused`` by the other model for what they
    asked; ``given_up`` because they were too old or too many, or the day's calls were spent; ``failed`` by our fault.
    """
    wrong: str = ""
    """Why nothing is asked at present; empty if nothing is wrong."""

    def left(self, calls_per_day: int, now: float) -> int:
        """Calls that may still be made. ``now`` is in seconds since the epoch.

        An hour counts as long as any of it lies within the last 24: no 24 hours hold more than is allowed.
        """
        return max(0, calls_per_day - sum(self._recent(now).values()))

    def with_calls(self, calls: int, now: float) -> "Account":
        """With so many calls more, or fewer, in this hour; hours that count no more are left out."""
        hour = _hour(now)
        counted = self._recent(now)
        counted[hour] = max(0, counted.get(hour, 0) + calls)
        return msgspec.structs.replace(self, calls={hour: calls for hour, calls in counted.items() if calls})

    def with_totals(self, more: Mapping[str, int], wrong: str) -> "Account":
        """With what came of a look, and what is wrong now."""
        totals = {name: self.totals.get(name, 0) + more.get(name, 0) for name in {**self.totals, **more}}
        return msgspec.structs.replace(self, totals=totals, wrong=wrong)

    def _recent(self, now: float) -> dict[int, int]:
        """Calls of the last day. Those of an hour to come were counted by a clock that has been put right."""
        return {hour: calls for hour, calls in self.calls.items() if 0 <= _hour(now) - hour <= HOURS}


def note_of(task: str) -> str:
    """The key of a task's account among the notes."""
    return f"shadow/{task}"


def account_of(store: Store, task: str) -> Account:
    """A task's account; a new one where there is none that can be read. Blocks; raises ``StoreError``."""
    try:
        return msgspec.json.decode(store.note(note_of(task)) or b"{}", type=Account)
    except msgspec.DecodeError:
        return Account()


def keep(store: Store, task: str, account: Account) -> None:
    """Write a task's account. Blocks; raises ``StoreError``."""
    store.put_note(note_of(task), msgspec.json.encode(account))


def _hour(now: float) -> int:
    return int(now // 3600)
