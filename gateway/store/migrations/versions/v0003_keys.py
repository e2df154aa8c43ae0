"""The key of an exchange; the index of old exchanges."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("exchanges", sa.Column("key", sa.Text))
    op.create_index("exchanges_created", "exchanges", ["created"])
