"""Where each channel's vectors lie: all processes that share a catalog know whether an index is the current one."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """One table; a channel without a row is where the mark in the data folder says, as before."""
    op.create_table(
        "homes",
        sa.Column("collection_id", sa.String(32), primary_key=True),
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("home", sa.String(16), nullable=False),
    )
