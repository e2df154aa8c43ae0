"""Backup and restore of SQLite as ``docs/operations.md`` says them, carried out beside a store that is in use."""

import contextlib
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from gateway.domain import Activation, RuleSet
from gateway.store.sql import SqlStore
from gateway.store.sqlite import FILE
from tests.test_store_base import exchange, feedback

PAGE = Path(__file__).parents[1] / "docs" / "operations.md"


def backup(source: Path, copy: Path) -> None:
    """Run the page's own command, with other paths."""
    (line,) = re.findall(r"^\$ python3 (-c .*)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    option, program, *_ = shlex.split(line)
    subprocess.run([sys.executable, option, program, source, copy], check=True, timeout=120)  # noqa: S603


def test_a_copy_made_in_service_goes_on_where_the_database_was(tmp_path: Path) -> None:
    """Without what came later; the store is open all the time, and most of it is still in the write-ahead log."""
    (tmp_path / "restored").mkdir()
    with contextlib.closing(SqlStore.open(tmp_path / "data")) as store:
        store.record([exchange("a"), exchange("b")])
        store.add_feedback(feedback("a"))
        store.publish(RuleSet(task="sums"))
        store.activate(Activation(task="sums", version=1, created=1.0, by="test"))
        before = store.counts(), store.active(), store.graded("sums", limit=9), store.revision()
        _, position = store.recorded(0, limit=9)
        backup(tmp_path / "data" / FILE, tmp_path / "copy.db")
        store.record([exchange("later")])
    shutil.move(tmp_path / "copy.db", tmp_path / "restored" / FILE)
    with contextlib.closing(SqlStore.open(tmp_path / "restored")) as store:
        assert (store.counts(), store.active(), store.graded("sums", limit=9), store.revision()) == before
        store.record([exchange("c")])
        assert [row.id for row in store.recorded(position, limit=9)[0]] == ["c"]
        assert store.publish(RuleSet(task="sums")).version == 2
