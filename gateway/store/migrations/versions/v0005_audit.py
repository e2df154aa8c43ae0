"""The audit sample: tenant, conversation, cost, audit rate and name of an exchange; verdicts on feedback.

Indexes follow the order of recording, because the clock may jump. The plans of ended cycles, full of requests, go.

SQLite adds a column behind the large ones, so that reading it walks through a row's overflow pages. A table without
rows, such as that of a new database, is therefore built anew with the large columns last.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_UNGRADED = "expected IS NOT NULL AND verdict_at IS NULL AND source IN ('client', 'label')"
_FORGOTTEN = """
CREATE TRIGGER exchanges_forgotten AFTER DELETE ON exchanges
WHEN OLD.task IS NOT NULL AND OLD.arm != 'shadow' BEGIN
    UPDATE task_counts SET
        exchanges = exchanges - 1,
        errors = errors - (OLD.status = 'error'),
        output_tokens = output_tokens - OLD.output_tokens,
        first_seen = coalesce((
            SELECT created FROM exchanges WHERE task = OLD.task AND arm != 'shadow' ORDER BY rowid LIMIT 1
        ), first_seen)
    WHERE task = OLD.task;
    DELETE FROM task_counts WHERE task = OLD.task AND exchanges = 0;
END
"""


def upgrade() -> None:
    connection = op.get_bind()
    if connection.exec_driver_sql("SELECT 1 FROM exchanges LIMIT 1").first() is None:
        _rebuild(connection)
    else:
        for column in _added():
            op.add_column("exchanges", column)
        op.drop_index("exchanges_task_created", "exchanges")
        op.execute("DROP TRIGGER exchanges_forgotten")
    op.execute(_FORGOTTEN)
    op.create_index("exchanges_task", "exchanges", ["task"])
    op.create_index("exchanges_audited", "exchanges", ["task"], sqlite_where=sa.text("audit_rate > 0"))
    op.create_index("exchanges_ref", "exchanges", ["ref"], sqlite_where=sa.text("ref IS NOT NULL"))
    op.add_column("feedback", sa.Column("key", sa.Text))
    op.add_column("feedback", sa.Column("labeller", sa.Text, nullable=False, server_default=""))
    op.add_column("feedback", sa.Column("verdict", sa.Double))
    op.add_column("feedback", sa.Column("verdict_at", sa.Double))
    op.drop_index("feedback_task_created", "feedback")
    op.create_index("feedback_task", "feedback", ["task", "id", "source", "exchange_id"])
    op.create_index("feedback_ungraded", "feedback", ["id"], sqlite_where=sa.text(_UNGRADED))
    op.execute("UPDATE cycles SET plan = x'7b7d' WHERE ended IS NOT NULL")


def _added() -> list[sa.Column[object]]:
    return [
        sa.Column("ref", sa.Text),
        sa.Column("tenant", sa.Text),
        sa.Column("cluster", sa.Text),
        sa.Column("cost_usd", sa.Double),
        sa.Column("audit_rate", sa.Double, nullable=False, server_default="0"),
    ]


def _rebuild(connection: sa.Connection) -> None:
    """Drop the empty table and create it with the new columns before the large ones."""
    counted = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = 'exchanges_counted'").scalar_one()
    op.drop_table("exchanges")
    op.create_table(
        "exchanges",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("task", sa.Text),
        sa.Column("client_model", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("arm", sa.Text, nullable=False),
        sa.Column("rules", sa.Integer),
        sa.Column("stream", sa.Boolean, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("http_status", sa.Integer, nullable=False),
        sa.Column("finish_reason", sa.Text),
        sa.Column("prompt_tokens", sa.Integer, nullable=False),
        sa.Column("output_tokens", sa.Integer, nullable=False),
        sa.Column("latency_ms", sa.Double, nullable=False),
        sa.Column("first_byte_ms", sa.Double),
        sa.Column("key", sa.Text),
        *_added(),
        sa.Column("error", sa.Text),
        sa.Column("request", sa.LargeBinary, nullable=False),
        sa.Column("reply", sa.Text),
        sa.Column("tool_calls", sa.Text),
    )
    op.create_index("exchanges_created", "exchanges", ["created"])
    connection.exec_driver_sql(counted)
