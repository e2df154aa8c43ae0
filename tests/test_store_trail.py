"""The audit log: every entry once, in one chain, and a chain that was touched is found out."""

import threading
from pathlib import Path

import msgspec
import pytest

from gateway.domain import Activation
from gateway.errors import Conflict, StoreError
from gateway.store.memory import MemoryStore
from gateway.store.sql import SqlStore
from gateway.store.trail import FIRST, Deed, append, configured, decided, deeds, newest, try_to_append, verify

DEED = Deed(at=1.0, by="keys command", what="key made", subject="team-a")


def filled(entries: int) -> MemoryStore:
    store = MemoryStore()
    for number in range(entries):
        append(store, msgspec.structs.replace(DEED, at=float(number)))
    return store


def test_entries_come_back_in_order_each_with_the_hash_of_the_last() -> None:
    """The first has none before it."""
    store = filled(3)
    listed = list(deeds(store))
    assert [deed.number for deed in listed] == [1, 2, 3] and [deed.at for deed in listed] == [0.0, 1.0, 2.0]
    assert listed[0].before == FIRST and len({deed.before for deed in listed}) == 3
    assert verify(store)[0] == 3 and verify(MemoryStore()) == (0, FIRST)


def test_the_newest_entries_come_first() -> None:
    """As many as are wanted, read at once."""
    store = filled(5)
    assert [deed.number for deed in newest(store, limit=2)] == [5, 4]
    assert [deed.number for deed in newest(store, limit=99)] == [5, 4, 3, 2, 1]
    assert newest(MemoryStore(), limit=2) == []


@pytest.mark.parametrize(
    ("number", "entry"),
    [
        (2, msgspec.json.encode(msgspec.structs.replace(DEED, by="nobody", number=2))),
        (3, msgspec.json.encode(msgspec.structs.replace(DEED, by="nobody", number=3))),
        (2, b"no entry"),
        (1, msgspec.json.encode(msgspec.structs.replace(DEED, subject="team-b", number=1))),
    ],
)
def test_a_changed_entry_breaks_the_chain(number: int, entry: bytes) -> None:
    """Wherever it stands."""
    store = filled(3)
    store.put_note(f"trail/{number:09}", entry)
    with pytest.raises(Conflict, match="audit log"):
        verify(store)


def test_a_changed_last_entry_is_found_out_by_the_hash_that_was_noted() -> None:
    """Though nothing stands behind it."""
    store = filled(3)
    last = list(deeds(store))[-1]
    store.put_note("trail/000000003", msgspec.json.encode(msgspec.structs.replace(last, by="nobody")))
    with pytest.raises(Conflict, match="entry 3 of the audit log was changed"):
        verify(store)


def test_an_end_that_is_gone_is_found_out() -> None:
    """The store remembers how long the chain was."""
    store, shorter = filled(3), filled(2)
    last = store.note("trail/last")
    assert last is not None
    shorter.put_note("trail/last", last)
    with pytest.raises(Conflict, match="ends at entry 2, and had 3"):
        verify(shorter)


def test_an_entry_whose_writer_was_killed_is_taken_up() -> None:
    """The next one stands behind it."""
    store = filled(1)
    before = store.note("trail/last")
    assert before is not None
    append(store, DEED)
    store.put_note("trail/last", before)  # as if the second writer had ended before the pointer moved
    append(store, DEED)
    assert [deed.number for deed in deeds(store)] == [1, 2, 3] and verify(store)[0] == 3


def test_writers_at_once_make_one_chain(tmp_path: Path) -> None:
    """Of several processes, which are threads here, with a connection each."""

    def write(number: int) -> None:
        store = SqlStore.open(tmp_path)
        for _ in range(10):
            append(store, msgspec.structs.replace(DEED, subject=f"key-{number}"))
        store.close()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store = SqlStore.open(tmp_path)
    assert verify(store)[0] == 40
    assert sorted(deed.subject for deed in deeds(store)) == sorted([f"key-{number}" for number in range(4)] * 10)
    store.close()


def test_a_decision_is_told_with_its_author_and_reason() -> None:
    """The version, and the share where there is one."""
    store = MemoryStore()
    decided(store, Activation(task="sums", version=2, created=5.0, by="ann", why="better"))
    decided(store, Activation(task="sums", version=3, created=6.0, by="watch", kind="canary", share=0.05))
    told = [(deed.by, deed.what, deed.subject, deed.why) for deed in deeds(store)]
    assert told == [
        ("ann", "rules live", "sums: version 2", "better"),
        ("watch", "rules canary", "sums: version 3, share 0.05", ""),
    ]


def test_a_configuration_is_told_once_however_many_gateways_read_it() -> None:
    """A restart changes nothing; another text, or the old one again, does."""
    store = MemoryStore()
    for digest in ("a", "a", "b", "b", "a"):
        configured(store, digest, at=1.0, by="gateway", source="preceptor.toml")
    assert [deed.why for deed in deeds(store)] == ["sha256:a", "sha256:b", "sha256:a"]


def test_what_is_done_stays_done_without_its_entry(caplog: pytest.LogCaptureFixture) -> None:
    """The database went away in between: the log on stderr tells."""

    class Away(MemoryStore):
        def note(self, key: str) -> bytes | None:
            raise StoreError("the database is away")

    try_to_append(Away(), DEED)
    configured(Away(), "a", at=1.0, by="gateway", source="preceptor.toml")
    assert "not in the audit log: key made of team-a: the database is away" in caplog.text
