"""The tables for SQLAlchemy Core, on SQLite and on Postgres with the same statements.

They must equal the result of ``migrations`` (a test compares them). On Postgres, ``exchanges`` has one more column,
``position``, which SQLite has as ``rowid``; two indexes hold it. They are planned for ten million exchanges: each
index serves one query, and the large columns come last: SQLite reads the others without walking through the row's
overflow pages. Times are seconds since the epoch.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)

HEAD = "0005"
"""The newest migration. A database at this revision is opened without loading Alembic."""
OLDEST = "0005"
"""The oldest ``HEAD`` whose statements work on tables of this one: its version may go on beside a newer one.

A migration first expands (new tables, columns with a default); what no version back to ``OLDEST`` uses any more is
dropped by a later one.
"""

AUDITED = text("audit_rate > 0")
NAMED = text("ref IS NOT NULL")
UNGRADED = text("expected IS NOT NULL AND verdict_at IS NULL AND source IN ('client', 'label')")
"""Conditions of partial indexes: a query must hold them in the same words."""

Large = Integer().with_variant(BigInteger(), "postgresql")
"""Whole numbers beyond 32 bits; SQLite's are as large as that anyway."""

metadata = MetaData()

exchanges = Table(
    "exchanges",
    metadata,
    Column("id", Text, primary_key=True),
    Column("created", Double, nullable=False),
    Column("task", Text),
    Column("client_model", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("arm", Text, nullable=False),
    Column("rules", Integer),
    Column("stream", Boolean, nullable=False),
    Column("status", Text, nullable=False),
    Column("http_status", Integer, nullable=False),
    Column("finish_reason", Text),
    Column("prompt_tokens", Large, nullable=False),
    Column("output_tokens", Large, nullable=False),
    Column("latency_ms", Double, nullable=False),
    Column("first_byte_ms", Double),
    Column("key", Text),
    Column("ref", Text),
    Column("tenant", Text),
    Column("cluster", Text),
    Column("cost_usd", Double),
    Column("audit_rate", Double, nullable=False, server_default="0"),
    Column("error", Text),
    Column("request", LargeBinary, nullable=False),
    Column("reply", Text),
    Column("tool_calls", Text),
    # For retention: rows recorded together lie together, so a batch of them is quick to delete.
    Index("exchanges_created", "created"),
    # SQLite keeps rows with an equal key in the order of recording. The clock may jump, that order does not.
    Index("exchanges_task", "task"),
    Index("exchanges_audited", "task", sqlite_where=AUDITED, postgresql_where=AUDITED),
    Index("exchanges_ref", "ref", sqlite_where=NAMED, postgresql_where=NAMED),
)

task_counts = Table(
    "task_counts",
    metadata,
    # Kept by triggers on ``exchanges`` (migration 0004): no writer needs to think of it.
    Column("task", Text, primary_key=True),
    Column("exchanges", Large, nullable=False),
    Column("errors", Large, nullable=False),
    Column("output_tokens", Large, nullable=False),
    Column("first_seen", Double, nullable=False),
    Column("last_seen", Double, nullable=False),
)

feedback = Table(
    "feedback",
    metadata,
    Column("id", Large, primary_key=True),
    Column("exchange_id", Text, ForeignKey("exchanges.id"), nullable=False),
    # Copied from the exchange: few exchanges have feedback, and the newest graded ones are found from this side.
    Column("task", Text),
    Column("exchange_created", Double, nullable=False),
    Column("created", Double, nullable=False),
    Column("correct", Boolean),
    Column("score", Double),
    Column("expected", Text),
    Column("comment", Text),
    Column("source", Text, nullable=False, server_default="client"),
    Column("key", Text),
    Column("labeller", Text, nullable=False, server_default=""),
    Column("verdict", Double),
    Column("verdict_at", Double),
    Index("feedback_exchange", "exchange_id"),
    # In the order of arrival; the last two columns let the feedback of a task be counted from the index alone.
    Index("feedback_task", "task", "id", "source", "exchange_id"),
    Index("feedback_ungraded", "id", sqlite_where=UNGRADED, postgresql_where=UNGRADED),
)

rule_sets = Table(
    "rule_sets",
    metadata,
    Column("task", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("hash", Text, nullable=False),
    Column("parent", Integer),
    Column("scratchpad", Text, nullable=False),
    Column("created", Double, nullable=False),
    Column("decided_by", Text, nullable=False),
    Column("body", Text, nullable=False),
)

activations = Table(
    "activations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("task", Text, nullable=False),
    Column("version", Integer),
    Column("created", Double, nullable=False),
    Column("by", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("kind", Text, nullable=False, server_default="live"),
    Column("share", Double, nullable=False, server_default="1"),
    ForeignKeyConstraint(["task", "version"], ["rule_sets.task", "rule_sets.version"]),
    Index("activations_task", "task", "id"),
)

cycles = Table(
    "cycles",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("task", Text, nullable=False),
    Column("started", Double, nullable=False),
    Column("ended", Double),
    Column("plan", LargeBinary, nullable=False),
    Column("outcome", LargeBinary),
    Index("cycles_task", "task", "id"),
)

notes = Table(
    "notes",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)
