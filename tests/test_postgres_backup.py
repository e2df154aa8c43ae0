"""Backup and restore as ``docs/postgres.md`` says them, carried out with Postgres' own tools."""

import contextlib
import subprocess
from pathlib import Path

from gateway.domain import Activation, Feedback, RuleSet
from gateway.store.sql import SqlStore
from tests.postgres import PostgresServer
from tests.test_store_base import exchange, feedback


def run(server: PostgresServer, tool: str, *arguments: str) -> None:
    subprocess.run([server.tool(tool), *arguments], check=True, timeout=120)  # noqa: S603


def test_a_restored_database_goes_on_where_the_old_one_was(
    postgres: PostgresServer, address: str, tmp_path: Path
) -> None:
    """With its exchanges, judgements, rules and counts; positions and versions go on from the last one."""
    with contextlib.closing(SqlStore.open(Path(), address)) as store:
        store.record([exchange("a"), exchange("b")])
        store.add_feedback(feedback("a"))
        store.publish(RuleSet(task="sums"))
        store.activate(Activation(task="sums", version=1, created=1.0, by="test"))
        before = store.counts(), store.active(), store.graded("sums", limit=9), store.revision()
        _, position = store.recorded(0, limit=9)
    dump = str(tmp_path / "preceptor.dump")
    run(postgres, "pg_dump", "--format=custom", f"--file={dump}", address)
    restored = postgres.address(postgres.empty())
    run(postgres, "pg_restore", "--exit-on-error", "--no-owner", f"--dbname={restored}", dump)
    with contextlib.closing(SqlStore.open(Path(), restored)) as store:
        assert (store.counts(), store.active(), store.graded("sums", limit=9), store.revision()) == before
        store.record([exchange("c")])
        assert [row.id for row in store.recorded(position, limit=9)[0]] == ["c"]
        assert store.counts()["sums"].exchanges == 3
        assert store.publish(RuleSet(task="sums")).version == 2
        assert store.add_feedback(Feedback(exchange_id="c", created=2.0, correct=True))
