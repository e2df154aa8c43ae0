"""Counts per task, kept by triggers with every exchange added or deleted: counting ten million rows takes seconds.

Shadows are left out: no client asked for them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_ADD = """
INSERT INTO task_counts (task, exchanges, errors, output_tokens, first_seen, last_seen)
{source}
ON CONFLICT (task) DO UPDATE SET
    exchanges = exchanges + excluded.exchanges,
    errors = errors + excluded.errors,
    output_tokens = output_tokens + excluded.output_tokens,
    first_seen = min(first_seen, excluded.first_seen),
    last_seen = max(last_seen, excluded.last_seen)
"""
_ONE = "VALUES (NEW.task, 1, NEW.status = 'error', NEW.output_tokens, NEW.created, NEW.created)"
_ALL = """
SELECT task, count(*), sum(status = 'error'), sum(output_tokens), min(created), max(created)
FROM exchanges WHERE task IS NOT NULL AND arm != 'shadow' GROUP BY task
"""
_LEAVE = """
UPDATE task_counts SET
    exchanges = exchanges - 1,
    errors = errors - (OLD.status = 'error'),
    output_tokens = output_tokens - OLD.output_tokens,
    first_seen = coalesce((
        SELECT created FROM exchanges WHERE task = OLD.task AND arm != 'shadow' ORDER BY created LIMIT 1
    ), first_seen)
WHERE task = OLD.task;
DELETE FROM task_counts WHERE task = OLD.task AND exchanges = 0
"""


def upgrade() -> None:
    op.create_table(
        "task_counts",
        sa.Column("task", sa.Text, primary_key=True),
        sa.Column("exchanges", sa.Integer, nullable=False),
        sa.Column("errors", sa.Integer, nullable=False),
        sa.Column("output_tokens", sa.Integer, nullable=False),
        sa.Column("first_seen", sa.Double, nullable=False),
        sa.Column("last_seen", sa.Double, nullable=False),
    )
    op.execute(_ADD.format(source=_ALL))
    for name, event, row, work in (
        ("exchanges_counted", "INSERT", "NEW", _ADD.format(source=_ONE)),
        ("exchanges_forgotten", "DELETE", "OLD", _LEAVE),
    ):
        op.execute(
            f"CREATE TRIGGER {name} AFTER {event} ON exchanges"
            f" WHEN {row}.task IS NOT NULL AND {row}.arm != 'shadow' BEGIN {work}; END"
        )
    op.drop_index("exchanges_task_created", "exchanges")
    op.create_index("exchanges_task_created", "exchanges", ["task", "created"])
    op.drop_index("feedback_task_created", "feedback")
    op.create_index("feedback_task_created", "feedback", ["task", "exchange_created", "source", "exchange_id"])
