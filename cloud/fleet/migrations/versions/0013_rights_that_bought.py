"""What a vend was paid with that is neither cash nor card; `vendcloud rebuild` fills it in."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("saga", schema=None) as batch_op:
        batch_op.add_column(sa.Column("app", sa.BigInteger(), server_default="0", nullable=False))
        batch_op.add_column(
            sa.Column("by_right", sa.String(length=16), server_default="", nullable=False)
        )
