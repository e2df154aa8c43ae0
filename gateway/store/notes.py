"""Notes: small values with a key and a type each, kept in the store from process to process.

- ``live/TASK``: ``RolloutView``, in full ``optimizer.monitoring.rollout.status.RolloutStatus``
- ``drift/TASK``: ``DriftNotice``, the last drift of a live version
- ``alpha/tasks``: the tasks with a scheduled test so far, ``optimizer.scheduling.learner.TESTED``
- ``sweep/position``: the position up to which traffic was read
- ``sweep/state``: the errors of the live loop, step -> error
- ``sweep/grading``: the judgements under the grader at this moment, ``optimizer.monitoring.verdicts.UNDER_WAY``
- ``watch/TASK``: the state of the roll-out's comparisons, ``optimizer.monitoring.rollout.state.STATE``
- ``promises/TASK``: promised and measured gain by version, ``optimizer.monitoring.rollout.promises.PROMISES``
- ``shadow/TASK``: calls and comparisons in the background, ``optimizer.monitoring.shadow.allowance.ACCOUNT``
- ``telling/TASK``: requests that two versions answer differently, ``optimizer.monitoring.shadow.telling.TELLING``
- ``keys``: the keys made by command, ``gateway.issued_keys.IssuedKey`` by name
- ``days/TASK``: requests, money and labels by day, ``optimizer.monitoring.daybook.DAYS``; ``days``: labels read so far
- ``attention``: the tasks that need a person, with the reason, ``optimizer.monitoring.attention.ATTENTION``
- ``console/secret``: the secret of the console's sessions, ``optimizer.console.session.SECRET``
- ``trail/N``: entry N of the audit log, ``gateway.store.trail.Deed``
- ``spend/DAY``: the spending of a day, ``gateway.spending.book.SPEND``
- ``paid/DAY``: the same by process and budget, for the counters in Valkey, ``gateway.spending.paid.PAID``
- ``quirks/SERVER/MODEL``: a model's learnt quirks, ``gateway.upstream.quirk_memory.QuirkNote``
- ``capacity/MODEL``: the rules and examples that a model carries, ``optimizer.distillation.capacity.CAPACITY``
- ``judge/TASK``: the last calibration of the task's judge, ``optimizer.distillation.judge_trust.CALIBRATED``
- ``forgotten``: the time of the last ``preceptor forget``, ``FORGOTTEN``; gateways drop their kept replies then
- ``served/TASK``: the upstream's model under the weak model's name, ``optimizer.scheduling.triggers.SERVED``

A note of another version in another form reads as if it were missing.
"""

from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

import msgspec

from gateway.domain import Value
from gateway.errors import Conflict
from gateway.store.base import Store

T = TypeVar("T")
_json = msgspec.json.Decoder()
_ATTEMPTS: Final = 100


class Note(Generic[T]):
    """A key and the type of its value, for the whole store or for each task."""

    def __init__(self, name: str, kind: type[T]) -> None:
        self._name = name
        self._decoder = msgspec.json.Decoder(kind)

    def key(self, task: str | None = None) -> str:
        """Return the key under which the store holds the value."""
        return self._name if task is None else f"{self._name}/{task}"

    def read(self, store: Store, task: str | None = None) -> T | None:
        """Return the value; ``None`` if it is missing or unreadable. Blocks; raises ``StoreError``."""
        return self.decoded(store.note(self.key(task)))

    def decoded(self, noted: bytes | None) -> T | None:
        """Return the value of bytes from the store; ``None`` if they are missing or unreadable."""
        value: T | None = _decoded(self._decoder, noted)
        return value

    def write(self, store: Store, value: T, task: str | None = None) -> None:
        """Replace the value. Blocks; raises ``StoreError``."""
        store.put_note(self.key(task), msgspec.json.encode(value))

    def change(self, store: Store, work: Callable[[T | None], T], task: str | None = None) -> None:
        """Replace the value by ``work`` of it, as ``change_note`` does: of two changes at once none is lost. Blocks."""
        key = self.key(task)
        change_note(store, key, lambda noted: msgspec.json.encode(work(self.decoded(noted))), f"the note {key!r} was")

    def json(self, store: Store, task: str | None = None) -> Any:
        """Return the value as plain JSON with all its fields; ``None`` if it is missing. Blocks."""
        return _decoded(_json, store.note(self.key(task)))


FORGOTTEN: Final = Note("forgotten", float)
"""The time at which texts were last forgotten, in seconds since the epoch."""


def change_note(store: Store, key: str, work: Callable[[bytes | None], bytes], what: str) -> None:
    """Replace a note's bytes by ``work`` of them, again whenever somebody else has changed them meanwhile.

    Blocks; raises ``Conflict``, which names ``what`` changed all the time, and the errors of the store and of ``work``.
    """
    for _ in range(_ATTEMPTS):
        noted = store.note(key)
        if store.swap_note(key, noted, work(noted)):
            return
    raise Conflict(f"{what} changed by others all the time: try again")


def _decoded(decoder: msgspec.json.Decoder[Any], noted: bytes | None) -> Any:
    try:
        return None if noted is None else decoder.decode(noted)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


class RolloutView(Value, frozen=True):
    """A roll-out's status for people."""

    looked: float
    """Time of the look, in seconds since the epoch."""
    wrong: tuple[str, ...] = ()
    """Alarms."""
    lines: tuple[str, ...] = ()
    """The whole status in a few lines."""


class DriftNotice(Value, frozen=True):
    """The discovery that a live version does worse than verified."""

    time: float
    """Seconds since the epoch."""
    version: int | None
    why: str = ""


ROLLOUT = Note("live", RolloutView)
DRIFT = Note("drift", DriftNotice)
SWEEP_POSITION = Note("sweep/position", int)
SWEEP_ERRORS = Note("sweep/state", dict[str, str])
