"""Who keeps a journal's fold, and whether batches or copies wait for it."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("journal", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("folded", sa.String(length=64), server_default="", nullable=False)
        )
        for name in ("has_waiting", "has_copies"):
            # Of those that are there, nobody knows: the next batch looks.
            batch_op.add_column(
                sa.Column(name, sa.Boolean(), server_default=sa.true(), nullable=False)
            )
    with op.batch_alter_table("journal", schema=None) as batch_op:
        batch_op.alter_column("has_waiting", server_default=sa.false())
