"""What tells a machine that is away from one that has nothing to say."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("machine", schema=None) as batch_op:
        batch_op.add_column(sa.Column("nonce", sa.String(64), server_default="", nullable=False))
        batch_op.add_column(
            sa.Column("every_s", sa.Integer(), server_default="900", nullable=False)
        )


def downgrade() -> None:
    """Take it back."""
    with op.batch_alter_table("machine", schema=None) as batch_op:
        batch_op.drop_column("every_s")
        batch_op.drop_column("nonce")
