"""The source of feedback, roll-outs in the history, tool calls of replies, notes."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("exchanges", sa.Column("tool_calls", sa.Text))
    op.add_column("feedback", sa.Column("source", sa.Text, nullable=False, server_default="client"))
    op.add_column("activations", sa.Column("kind", sa.Text, nullable=False, server_default="live"))
    op.add_column("activations", sa.Column("share", sa.Double, nullable=False, server_default="1"))
    op.create_table(
        "notes",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("value", sa.LargeBinary, nullable=False),
    )
