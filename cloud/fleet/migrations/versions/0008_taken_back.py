"""Journals that an operator wants gone on from, though another one has followed them."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("journal", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("taken_back", sa.Boolean(), server_default=sa.false(), nullable=False)
        )


def downgrade() -> None:
    """Take it back."""
    with op.batch_alter_table("journal", schema=None) as batch_op:
        batch_op.drop_column("taken_back")
