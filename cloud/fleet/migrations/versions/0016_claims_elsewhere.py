"""Claims that are keyed in at another machine than their own."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_index("ix_claim_code_end", "claim", ["code_end"])
    op.create_table(
        "claim_question",
        sa.Column("journal_uid", sa.LargeBinary(16), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("machine_id", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("code_end", sa.String(4), nullable=False),
        sa.Column("days", sa.BigInteger(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.Column("answer", sa.String(16), nullable=False, server_default=""),
        sa.Column("args", sa.Text(), nullable=False, server_default=""),
        sa.Column("sent", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.PrimaryKeyConstraint("journal_uid", "seq", name=op.f("pk_claim_question")),
    )
    waiting = sa.text("sent IS FALSE")
    op.create_index(
        "ix_claim_question_open",
        "claim_question",
        ["until_ms"],
        sqlite_where=waiting,
        postgresql_where=waiting,
    )
    op.create_table(
        "claim_move",
        sa.Column("journal_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("machine_id", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("close_id", sa.String(64), nullable=False, server_default=""),
        sa.Column("close_by_ms", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("grant_id", sa.String(64), nullable=False, server_default=""),
        sa.Column("grant_machine_id", sa.BigInteger(), nullable=True),
        sa.Column("grant_journal_uid", sa.LargeBinary(16), nullable=True),
        sa.Column("grant_seq", sa.BigInteger(), nullable=True),
        sa.Column("paid_ms", sa.BigInteger(), nullable=True),
        sa.Column("how", sa.String(128), nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("journal_id", "seq", name=op.f("pk_claim_move")),
    )
    op.create_index("ix_claim_move_digest", "claim_move", ["digest"])
    granting = sa.text("grant_id <> '' AND paid_ms IS NULL")
    op.create_index(
        "ix_claim_move_granting",
        "claim_move",
        ["grant_id"],
        sqlite_where=granting,
        postgresql_where=granting,
    )
