"""Conversations, feedback, responses that are given again, and what goes when a document does."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0003"


def upgrade() -> None:
    """Six tables."""
    op.create_table(
        "conversations",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("owner", sa.String(32), nullable=False),
        sa.Column("collection_id", sa.String(32), nullable=False, index=True),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("created", sa.String(32), nullable=False),
        sa.Column("updated", sa.String(32), nullable=False),
    )
    op.create_table(
        "turns",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("conversation_id", sa.String(32), sa.ForeignKey("conversations.id"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("answer", sa.JSON()),
        sa.Column("created", sa.String(32), nullable=False),
        sa.UniqueConstraint("conversation_id", "number", name="one_turn_a_number"),
    )
    op.create_table(
        "answers",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("owner", sa.String(32), nullable=False),
        sa.Column("collection_id", sa.String(32), nullable=False, index=True),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("pages", sa.JSON(), nullable=False),
        sa.Column("created", sa.String(32), nullable=False, index=True),
    )
    op.create_table(
        "feedback",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("owner", sa.String(32), nullable=False),
        sa.Column("collection_id", sa.String(32), nullable=False, index=True),
        sa.Column("answer_id", sa.String(32)),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("pages", sa.JSON(), nullable=False),
        sa.Column("value", sa.String(8)),
        sa.Column("relevance", sa.Integer()),
        sa.Column("comment", sa.Text()),
        sa.Column("created", sa.String(32), nullable=False),
    )
    op.create_table(
        "replays",
        sa.Column("owner", sa.String(32), primary_key=True),
        sa.Column("key", sa.String(255), primary_key=True),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("location", sa.Text()),
        sa.Column("body", sa.Text()),
        sa.Column("created", sa.String(32), nullable=False, index=True),
    )
    op.create_table(
        "traces",
        sa.Column("holder", sa.String(32), primary_key=True),
        sa.Column("source", sa.String(32), primary_key=True, index=True),
    )
