"""Notes: what is written comes back with its type, and what cannot be read is as none."""

import pytest

from gateway.errors import Conflict
from gateway.store.base import Store
from gateway.store.memory import MemoryStore
from gateway.store.notes import DRIFT, ROLLOUT, SWEEP_ERRORS, SWEEP_POSITION, DriftNotice, RolloutView

OLD = {
    "live/sums": b'{"looked":1.0,"live":3,"lines":["serves weak"],"wrong":["harm"]}',
    "drift/sums": b'{"time": 7.0, "version": null, "why": "more wrong"}',
    "sweep/position": b"500",
    "sweep/state": b'{"observe":"it failed"}',
}
"""Notes as earlier versions wrote them."""


def test_a_note_comes_back_as_it_was_written(store: Store) -> None:
    """Each task has its own."""
    DRIFT.write(store, DriftNotice(time=1.0, version=2), "sums")
    DRIFT.write(store, DriftNotice(time=3.0, version=None, why="worse"), "other")
    assert DRIFT.read(store, "sums") == DriftNotice(time=1.0, version=2)
    assert DRIFT.read(store, "other") == DriftNotice(time=3.0, version=None, why="worse")
    assert DRIFT.read(store, "third") is None


def test_of_two_changes_at_once_none_is_lost() -> None:
    """The later one begins again with what the earlier one left."""

    class Raced(MemoryStore):
        others = 1

        def swap_note(self, key: str, before: bytes | None, value: bytes) -> bool:
            if self.others:
                self.others -= 1
                self.put_note(key, b'{"theirs":"%d"}' % self.others)
            return super().swap_note(key, before, value)

    store = Raced()
    SWEEP_ERRORS.change(store, lambda known: {**(known or {}), "ours": "y"})
    assert SWEEP_ERRORS.read(store) == {"theirs": "0", "ours": "y"}
    store.others = 10**6
    with pytest.raises(Conflict, match="sweep/state' was changed by others all the time"):
        SWEEP_ERRORS.change(store, lambda known: {**(known or {}), "more": "z"})


def test_notes_of_earlier_versions_are_read() -> None:
    """The keys and the JSON stay as they were."""
    store = MemoryStore()
    for key, value in OLD.items():
        store.put_note(key, value)
    assert ROLLOUT.read(store, "sums") == RolloutView(looked=1.0, lines=("serves weak",), wrong=("harm",))
    assert ROLLOUT.json(store, "sums")["live"] == 3
    assert DRIFT.read(store, "sums") == DriftNotice(time=7.0, version=None, why="more wrong")
    assert (SWEEP_POSITION.read(store), SWEEP_ERRORS.read(store)) == (500, {"observe": "it failed"})


@pytest.mark.parametrize("damaged", [b"", b"{", b"[]", b"\xff", b"[" * 10_000])
def test_a_note_that_cannot_be_read_is_as_none(damaged: bytes) -> None:
    """Another version may have written it."""
    store = MemoryStore()
    store.put_note("sweep/position", damaged)
    assert SWEEP_POSITION.read(store) is None
    assert SWEEP_POSITION.json(store) in (None, [])
