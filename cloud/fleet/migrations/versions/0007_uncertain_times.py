"""Which times nobody had confirmed; of what is there already, `vendcloud rebuild` finds out."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    for table in ("saga", "claim"):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.add_column(
                sa.Column("uncertain", sa.Boolean(), server_default=sa.false(), nullable=False)
            )
