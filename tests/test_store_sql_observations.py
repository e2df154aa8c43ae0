"""The watch's readings of the SQL store find their rows by an index; what they return is in ``test_store_base``."""

from pathlib import Path

import pytest

from gateway.store.sql import SqlStore
from tests.store_plans import plan_of


@pytest.mark.parametrize("after", [None, 100])
def test_judgements_are_read_on_from_their_place(tmp_path: Path, after: int | None) -> None:
    """By an index of the task's: what was judged before is not looked at, however much it is."""
    store = SqlStore.open(tmp_path)
    plan = plan_of(store, lambda store: store.judged("sums", after, limit=10))
    assert "SEARCH feedback USING INDEX feedback_task (task=? AND id>?)" in plan and "SCAN feedback" not in plan
    store.close()


def test_signs_of_failure_are_found_by_the_exchange(tmp_path: Path) -> None:
    """One look-up of an index for each."""
    store = SqlStore.open(tmp_path)
    plan = plan_of(store, lambda store: store.observed("sums", since=0, limit=10))
    assert "SEARCH outcomes USING INDEX feedback_exchange" in plan
    store.close()
