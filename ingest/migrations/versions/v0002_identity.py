"""The catalog gets an id of its own, so that files kept elsewhere can say whose they are."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """One table, with one row."""
    identity = op.create_table("identity", sa.Column("id", sa.String(32), primary_key=True))
    op.execute(identity.insert().values(id=f"cat_{secrets.token_hex(10)}"))
