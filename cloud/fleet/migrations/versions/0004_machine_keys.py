"""The keys that machines sign their checkpoints with."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "machine_key",
        sa.Column("machine_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
                  autoincrement=False, nullable=False),
        sa.Column("public_key", sa.LargeBinary(length=32), nullable=False),
        sa.Column("seen_ms", sa.BigInteger(), nullable=False),
        sa.Column("accepted_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["machine_id"], ["machine.id"], name=op.f("fk_machine_key_machine_id_machine")
        ),
        sa.PrimaryKeyConstraint("machine_id", "public_key", name=op.f("pk_machine_key")),
    )  # fmt: skip
    # What a machine has shown so far is what it is known by.
    op.execute(
        "INSERT INTO machine_key (machine_id, public_key, seen_ms, accepted_ms)"
        " SELECT id, public_key, seen_ms, seen_ms FROM machine WHERE public_key IS NOT NULL"
    )
