"""What machines answered to commands and how far they have come; dead letters set aside."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("command", schema=None) as batch_op:
        batch_op.add_column(sa.Column("result", sa.Text(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("progress", sa.Text(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("progress_ms", sa.BigInteger(), nullable=True))
    with op.batch_alter_table("dead_letter", schema=None) as batch_op:
        batch_op.add_column(sa.Column("discarded_ms", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Take it back."""
    with op.batch_alter_table("dead_letter", schema=None) as batch_op:
        batch_op.drop_column("discarded_ms")
    with op.batch_alter_table("command", schema=None) as batch_op:
        batch_op.drop_column("progress_ms")
        batch_op.drop_column("progress")
        batch_op.drop_column("result")
