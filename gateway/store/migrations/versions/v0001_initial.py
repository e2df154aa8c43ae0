"""Exchanges, feedback, rule sets, activations, cycles."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
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
        sa.Column("error", sa.Text),
        sa.Column("request", sa.LargeBinary, nullable=False),
        sa.Column("reply", sa.Text),
    )
    op.create_index("exchanges_task_created", "exchanges", ["task", "created", "status", "output_tokens"])
    op.create_table(
        "feedback",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("exchange_id", sa.Text, sa.ForeignKey("exchanges.id"), nullable=False),
        sa.Column("task", sa.Text),
        sa.Column("exchange_created", sa.Double, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("correct", sa.Boolean),
        sa.Column("score", sa.Double),
        sa.Column("expected", sa.Text),
        sa.Column("comment", sa.Text),
    )
    op.create_index("feedback_exchange", "feedback", ["exchange_id"])
    op.create_index("feedback_task_created", "feedback", ["task", "exchange_created"])
    op.create_table(
        "rule_sets",
        sa.Column("task", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("parent", sa.Integer),
        sa.Column("scratchpad", sa.Text, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("decided_by", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "activations",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("task", sa.Text, nullable=False),
        sa.Column("version", sa.Integer),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["task", "version"], ["rule_sets.task", "rule_sets.version"]),
    )
    op.create_index("activations_task", "activations", ["task", "id"])
    op.create_table(
        "cycles",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("task", sa.Text, nullable=False),
        sa.Column("started", sa.Double, nullable=False),
        sa.Column("ended", sa.Double),
        sa.Column("plan", sa.LargeBinary, nullable=False),
        sa.Column("outcome", sa.LargeBinary),
    )
    op.create_index("cycles_task", "cycles", ["task", "id"])
