"""What became of each revision of a machine's configuration."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("desired", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("outcome", sa.String(length=16), server_default="", nullable=False)
        )
        batch_op.add_column(sa.Column("detail", sa.Text(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("ended_ms", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Take back."""
    with op.batch_alter_table("desired", schema=None) as batch_op:
        for name in ("ended_ms", "detail", "outcome"):
            batch_op.drop_column(name)
