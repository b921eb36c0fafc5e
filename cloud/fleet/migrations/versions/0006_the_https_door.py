"""Machines that come over HTTPS, and certificates that are renewed."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("machine", schema=None) as batch_op:
        batch_op.add_column(sa.Column("polled_ms", sa.BigInteger(), nullable=True))
    with op.batch_alter_table("certificate", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("issued_ms", sa.BigInteger(), server_default="0", nullable=False)
        )
        batch_op.add_column(sa.Column("key_hash", sa.LargeBinary(length=32), nullable=True))
        batch_op.add_column(sa.Column("pem", sa.Text(), server_default="", nullable=False))
        batch_op.create_index("ix_certificate_machine_id", ["machine_id"])
