"""Rule sets, histories and cycles in SQL beyond the common contract: which index serves which read."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

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
        (lambda store: store.open_cycle("sums"), ["INDEX cycles_task"]),
        (lambda store: store.history("sums"), ["INDEX activations_task"]),
    ],
    ids=["open_cycle", "history"],
)
def test_the_indexes_serve_the_reads(store: SqlStore, read: Callable[[SqlStore], object], indexes: list[str]) -> None:
    """Ten million exchanges are neither walked through nor sorted."""
    plan = plan_of(store, read)
    assert [index for index in indexes if index not in plan] == []
    assert "TEMP B-TREE" not in plan
