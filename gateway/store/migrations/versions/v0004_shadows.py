"""Indexes that tell a shadow from an exchange of a client, so that the counts leave it out and still read no table."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.drop_index("exchanges_task_created", "exchanges")
    op.create_index("exchanges_task_created", "exchanges", ["task", "created", "status", "output_tokens", "arm"])
    op.drop_index("feedback_task_created", "feedback")
    op.create_index("feedback_task_created", "feedback", ["task", "exchange_created", "source", "exchange_id"])
