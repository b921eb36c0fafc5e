"""Whose a record is and when it came, so that records can be cut into partitions by both."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# When an older one came nobody has written down: at the latest when its journal last grew.
_FILLED = """
    UPDATE record SET
        tenant_id = (
            SELECT tenant.id FROM journal
            JOIN machine ON machine.id = journal.machine_id
            JOIN tenant ON tenant.name = machine.tenant
            WHERE journal.id = record.journal_id
        ),
        received_ms = (SELECT updated_ms FROM journal WHERE journal.id = record.journal_id)
    WHERE journal_id IN (SELECT id FROM journal)
"""


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "tenant",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=48), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenant")),
        sa.UniqueConstraint("name", name=op.f("uq_tenant_name")),
    )
    op.execute("INSERT INTO tenant (name) SELECT DISTINCT tenant FROM machine ORDER BY tenant")
    with op.batch_alter_table("record", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("tenant_id", sa.Integer(), server_default="0", nullable=False)
        )
        batch_op.add_column(
            sa.Column("received_ms", sa.BigInteger(), server_default="0", nullable=False)
        )
    op.execute(_FILLED)
