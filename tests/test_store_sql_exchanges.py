"""Exchanges and feedback in SQL beyond the common contract: which index serves which read."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.store.selection import Address
from gateway.store.sql import SqlStore
from tests.store_plans import plan_of


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    opened = SqlStore.open(tmp_path)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("read", "indexes"),
    [
        (lambda store: store.counts(), ["task_counts", "COVERING INDEX feedback_task"]),
        (lambda store: store.graded("sums", limit=10), ["INDEX feedback_task", "INDEX feedback_exchange"]),
        (lambda store: store.observed("sums", since=1.0, limit=9), ["INDEX exchanges_task"]),
        (lambda store: store.answered("sums", arm="weak", limit=9), ["INDEX exchanges_task"]),
        (lambda store: store.unclaimed(limit=9), ["INDEX exchanges_task"]),
        (lambda store: store.find(Address(ref="r", key="k")), ["INDEX exchanges_ref"]),
        (lambda store: store.forget(1.0, limit=9), ["INDEX exchanges_created"]),
        (lambda store: store.ungraded(limit=9), ["feedback_ungraded"]),
        (
            lambda store: store.audited("sums", since=1.0, limit=9),
            ["INDEX exchanges_audited", "INDEX feedback_exchange"],
        ),
    ],
    ids=["counts", "graded", "observed", "answered", "unclaimed", "find", "forget", "ungraded", "audited"],
)
def test_the_indexes_serve_the_reads(store: SqlStore, read: Callable[[SqlStore], object], indexes: list[str]) -> None:
    """Ten million exchanges are neither walked through nor sorted."""
    plan = plan_of(store, read)
    assert [index for index in indexes if index not in plan] == []
    assert "TEMP B-TREE" not in plan
