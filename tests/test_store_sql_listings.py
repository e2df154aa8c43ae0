"""Lists of the store for pages: both stores give the same, newest first and bounded."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.domain import Activation, Exchange, Feedback, RuleSet
from gateway.store import listings, memory_listings, sql_listings
from gateway.store.base import Store
from gateway.store.listings import ExchangeSearch
from gateway.store.memory import MemoryStore
from gateway.store.sql import SqlStore


@pytest.fixture(params=["memory", "sql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Each store with six exchanges of two tasks."""
    store: Store = MemoryStore() if request.param == "memory" else SqlStore.open(tmp_path)
    store.record([recorded(number) for number in range(6)])
    yield store
    store.close()


def recorded(number: int) -> Exchange:
    """Exchanges of two tasks in turn; the last one failed."""
    return Exchange(
        id=f"x{number}", created=100.0 + number, task="even" if number % 2 == 0 else "odd", client_model="m", model="m",
        arm="shadow" if number == 4 else "weak", rules=None, stream=False, status="error" if number == 5 else "ok",
        http_status=200, request=b'{"messages": [{"role": "user", "content": "caf\xc3\xa9 %d"}]}' % number,
        reply=f"reply {number}", key="team" if number < 2 else None,
    )  # fmt: skip


def ids(store: Store, **wanted: str) -> list[str]:
    """The ids of a whole search."""
    return [exchange.id for exchange in store.search(ExchangeSearch(**wanted), before=None, limit=50).exchanges]


def test_exchanges_come_newest_first_without_shadows(store: Store) -> None:
    """As people look for them."""
    assert ids(store) == ["x5", "x3", "x2", "x1", "x0"]


def test_a_search_narrows_by_every_field(store: Store) -> None:
    """Task, key, status, and a text in request or reply, whatever its letters."""
    assert ids(store, task="odd") == ["x5", "x3", "x1"]
    assert ids(store, key="team") == ["x1", "x0"]
    assert ids(store, status="error") == ["x5"]
    assert ids(store, text="reply 3") == ["x3"] and ids(store, text="café 2") == ["x2"]
    assert ids(store, text="nothing of this") == []


def test_a_page_tells_where_the_next_begins(store: Store) -> None:
    """Until nothing is left."""
    seen, before = list[str](), None
    for _ in range(5):
        page = store.search(ExchangeSearch(), before=before, limit=2)
        seen += [exchange.id for exchange in page.exchanges]
        before = page.before
        if before is None:
            break
    assert seen == ["x5", "x3", "x2", "x1", "x0"] and before is None


def test_a_search_looks_at_a_bounded_number(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rare text in a million exchanges takes several pages, and each is quick."""
    for module in (listings, memory_listings, sql_listings):
        monkeypatch.setattr(module, "LOOKED_AT", 2)
    first = store.search(ExchangeSearch(text="reply 0"), before=None, limit=5)
    assert (first.exchanges, first.looked_at) == ((), 2) and first.before is not None
    assert store.search(ExchangeSearch(text="reply 2"), before=first.before, limit=5).exchanges[0].id == "x2"


def test_counts_are_those_of_the_asked_tasks(store: Store) -> None:
    """Shadows aside."""
    counts = store.counts_of(["odd", "none"])
    assert list(counts) == ["odd"] and (counts["odd"].exchanges, counts["odd"].errors) == (3, 1)


def test_the_judgements_of_an_exchange_come_in_order(store: Store) -> None:
    """All of them, of every source."""
    for source in ("client", "label"):
        store.add_feedback(Feedback(exchange_id="x1", created=1.0, correct=True, source=source))
    assert [given.source for given in store.feedback_on("x1")] == ["client", "label"]
    assert store.feedback_on("x9") == []


def test_judgements_of_all_tasks_arrive_once(store: Store) -> None:
    """With their task and their place; one without a verdict is among them."""
    store.add_feedback(Feedback(exchange_id="x1", created=1.0, correct=True))
    store.add_feedback(Feedback(exchange_id="x2", created=2.0, expected="4"))
    store.add_feedback(Feedback(exchange_id="x1", created=3.0, correct=False))
    arrived = store.judgements(0, limit=10)
    assert [(entry.task, entry.feedback.is_correct) for entry in arrived] == [("odd", True), ("even", None)]
    assert store.judgements(arrived[0].position, limit=10) == arrived[1:]


def test_notes_and_decisions_come_for_several_tasks_at_once(store: Store) -> None:
    """The newest decision of each kind, and all of them newest first."""
    store.put_note("a", b"1")
    store.put_note("b", b"2")
    assert store.notes(["a", "b", "c"]) == {"a": b"1", "b": b"2"}
    for task in ("odd", "even"):
        store.publish(RuleSet(task=task))
        for share in (0.1, 0.5):
            store.activate(Activation(task=task, version=1, created=share, by="x", kind="canary", share=share))
    decisions = store.newest_decisions(["odd"])
    assert [entry.share for entry in decisions["odd"]] == [0.5] and list(decisions) == ["odd"]
    assert [(entry.task, entry.share) for entry in store.decisions(limit=3)] == [
        ("even", 0.5), ("even", 0.1), ("odd", 0.5),
    ]  # fmt: skip
