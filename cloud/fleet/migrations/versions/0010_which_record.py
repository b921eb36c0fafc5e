"""Which record an alert and a fault come of; `vendcloud rebuild` finds it for the open faults."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    for table in ("alert", "fault"):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.add_column(
                sa.Column("journal", sa.String(32), server_default="", nullable=False)
            )
            batch_op.add_column(
                sa.Column("seq", sa.BigInteger(), server_default="0", nullable=False)
            )
    with op.batch_alter_table("alert", schema=None) as batch_op:
        batch_op.create_index(
            "uq_alert_record",
            ["machine_id", "cause", "journal", "seq"],
            unique=True,
            sqlite_where=sa.text("seq > 0"),
            postgresql_where=sa.text("seq > 0"),
        )
